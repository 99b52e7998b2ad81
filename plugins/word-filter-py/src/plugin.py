"""Masks or refuses messages that contain forbidden words. A word is found in upper and lower case, in full-width letters
and ligatures; only whole words count."""

import json
import re
import unicodedata

from confab import accept, map_strings, reject, replace, settings_error
from wit_world.imports.types import Kind

WORD = re.compile(r"[^\W_]+")


class Filter:
    """The filter, ready to judge."""

    words: frozenset = frozenset()
    action = "mask"
    code = 460
    reason = "the message contains a word that is not welcome here"


def fold(word: str) -> str:
    """The word as it is compared."""
    return unicodedata.normalize("NFKC", word).casefold()


def single(word: str) -> str:
    """A setting's word, folded; an error if it would never be found."""
    if not WORD.fullmatch(word):
        raise settings_error(f"`words`: {json.dumps(word)} is not one word, it would never be found")
    return fold(word)


class WitWorld:
    """What the contract asks for."""

    def configure(self, settings: str) -> None:
        given = json.loads(settings)
        Filter.words = frozenset(single(word) for word in given.get("words", []))
        Filter.action = given.get("action", Filter.action)
        Filter.code = given.get("code", Filter.code)
        Filter.reason = given.get("reason", Filter.reason)
        if not 400 <= Filter.code <= 1999:
            raise settings_error(f"`code` is {Filter.code}: a plugin's codes are 400 to 1999")

    def judge(self, event, context):
        if event.kind == Kind.UNREACT:  # whoever takes something back says nothing
            return accept()
        body = json.loads(event.body)
        shown = map_strings(body, masked)
        if shown == body:
            return accept()
        # Half of a reaction is none.
        if Filter.action == "mask" and event.kind in (Kind.SEND, Kind.EDIT):
            return replace(shown)
        return reject(Filter.code, Filter.reason)


def masked(text: str) -> str:
    """The text with a star for each character of a forbidden word."""
    return text if Filter.words.isdisjoint(words_of(text)) else WORD.sub(star, text)


def words_of(text: str):
    """The words of a text as they are compared. Most texts are ASCII, which needs no look at each word by itself."""
    return WORD.findall(text.lower()) if text.isascii() else map(fold, WORD.findall(text))


def star(found: re.Match) -> str:
    word = found.group()
    return "*" * len(word) if fold(word) in Filter.words else word
