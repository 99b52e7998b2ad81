"""The contract's values, said in a word. What they mean stands in the contract's reference,
docs/reference/plugin-contract.md."""

import json

from componentize_py_types import Err
from wit_world.imports.types import (
    Decision_Accept,
    Decision_Hold,
    Decision_Reject,
    Decision_Replace,
    Effect_Flag,
    Effect_Mute,
    Effect_Notice,
    Mute,
    Rejection,
    Replacement,
    Verdict,
)


def accept(**annotations) -> Verdict:
    """The event goes on as it is; the annotations are added to it, by name: any JSON value."""
    return Verdict(Decision_Accept(_notes(annotations)), [])


def replace(body, **annotations) -> Verdict:
    """The event goes on with another body: any JSON value."""
    return Verdict(Decision_Replace(Replacement(_json(body), _notes(annotations))), [])


def replace_text(event, text: str, **annotations) -> Verdict:
    """The event goes on with another `text`. The rest of its body is kept, written anew."""
    return replace(json.loads(event.body) | {"text": text}, **annotations)


def map_strings(value, change):
    """A JSON value with `change(string)` in place of every string, at whatever depth. The names of members are none. Whoever
    shows a body may show any of them, so a plugin that looks for what must not be said looks here."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [map_strings(item, change) for item in value]
    if isinstance(value, dict):
        return {name: map_strings(item, change) for name, item in value.items()}
    return value


def reject(code: int, reason: str, details=None) -> Verdict:
    """The event is refused: `code` is 400 to 1999, and `reason` what the sender is told."""
    return Verdict(Decision_Reject(Rejection(code, reason, None if details is None else _json(details))), [])


def hold(why: str) -> Verdict:
    """The event waits for a moderator, who is told why."""
    return Verdict(Decision_Hold(why), [])


def with_notice(said: Verdict, text: str) -> Verdict:
    """What happens besides: the sender, and nobody else, is told a sentence."""
    return Verdict(said.decision, [*said.effects, Effect_Notice(text)])


def with_mute(said: Verdict, seconds: int, reason: str) -> Verdict:
    """What happens besides: the sender may not speak in this room for so many seconds."""
    return Verdict(said.decision, [*said.effects, Effect_Mute(Mute(seconds, reason))])


def with_flag(said: Verdict, why: str) -> Verdict:
    """What happens besides: moderators should look at the event."""
    return Verdict(said.decision, [*said.effects, Effect_Flag(why)])


def settings_error(why: str) -> Err:
    """What `configure` raises where the settings cannot work; the operator is shown it."""
    return Err(why)


def _notes(annotations: dict) -> list:
    return [(name, _json(value)) for name, value in annotations.items()]


def _json(value) -> str:
    return json.dumps(value, ensure_ascii=False)
