// Masks or refuses messages that contain forbidden words. A word is found in upper and lower case; only whole words count.

import { accept, reject, replaceText, settingsError } from './confab.js';

let words = new Set();
let action = 'mask';
let code = 460;
let reason = 'the message contains a word that is not welcome here';

// The engine has no Unicode property classes (`\p{L}`): what has a case is a letter, and so is everything past ASCII that is
// neither a space nor punctuation.
const SEPARATORS = /[\s\u0080-\u00bf\u2000-\u206f\u3000-\u303f\uff00-\uff0f]/;

function isWordCharacter(character) {
  return /[a-z0-9]/i.test(character) || (character > '\u007f' && !SEPARATORS.test(character));
}

/** Calls `found(start, end)` for each word of the text, in order. */
function eachWord(text, found) {
  let start = -1;
  for (let at = 0; at <= text.length; at += 1) {
    const inside = at < text.length && isWordCharacter(text[at]);
    if (inside && start < 0) start = at;
    if (!inside && start >= 0) {
      found(start, at);
      start = -1;
    }
  }
}

// Upper case first: it is what makes `ß` equal to `ss`.
const fold = (word) => word.toUpperCase().toLowerCase();

function single(word) {
  let count = 0;
  let whole = false;
  eachWord(word, (start, end) => {
    count += 1;
    whole = end - start === word.length;
  });
  if (count !== 1 || !whole) {
    throw settingsError(`\`words\`: ${JSON.stringify(word)} is not one word, it would never be found`);
  }
  return fold(word);
}

export function configure(text) {
  const settings = JSON.parse(text);
  words = new Set((settings.words ?? []).map(single));
  action = settings.action ?? action;
  code = settings.code ?? code;
  reason = settings.reason ?? reason;
  if (code < 400 || code > 1999) throw settingsError(`\`code\` is ${code}: a plugin's codes are 400 to 1999`);
}

export function judge(event) {
  const { text } = event;
  if (text === undefined) return accept();
  let masked = '';
  let end = 0;
  eachWord(text, (from, to) => {
    if (!words.has(fold(text.slice(from, to)))) return;
    // One star for each character, as a reader counts them, not for each half of a surrogate pair.
    masked += text.slice(end, from) + '*'.repeat([...text.slice(from, to)].length);
    end = to;
  });
  if (end === 0) return accept();
  if (action === 'reject') return reject(code, reason);
  return replaceText(event, masked + text.slice(end));
}
