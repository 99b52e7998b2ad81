// Masks or refuses messages that contain forbidden words. A word is found in upper and lower case; only whole words count.

import { accept, mapStrings, reject, replace, settingsError } from './confab.js';

let words = new Set();
let action = 'mask';
let code = 460;
let reason = 'the message contains a word that is not welcome here';

// The engine has no Unicode property classes (`\p{L}`): everything past ASCII that is neither a space nor punctuation is taken
// for a letter. The engine's matcher finds whole words; asking it of each character would take several times as long.
const WORD = /[^\s\u0000-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f\u3000-\u303f\uff00-\uff0f]+/g;

/** Calls `found(word, start)` for each word of the text, in order. */
function eachWord(text, found) {
  WORD.lastIndex = 0;
  for (let match = WORD.exec(text); match !== null; match = WORD.exec(text)) found(match[0], match.index);
}

// Upper case first: it is what makes `ß` equal to `ss`.
const fold = (word) => word.toUpperCase().toLowerCase();

function single(word) {
  let whole = false;
  eachWord(word, (found) => {
    whole ||= found === word;
  });
  if (!whole) {
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

/** The text with a star for each character of a forbidden word. */
function masked(text) {
  let shown = '';
  let end = 0;
  eachWord(text, (word, start) => {
    if (!words.has(fold(word))) return;
    // One star for each character, as a reader counts them, not for each half of a surrogate pair.
    shown += text.slice(end, start) + '*'.repeat([...word].length);
    end = start + word.length;
  });
  return end === 0 ? text : shown + text.slice(end);
}

export function judge(event) {
  if (event.kind === 'unreact') return accept(); // whoever takes something back says nothing
  let found = false;
  const body = mapStrings(JSON.parse(event.body), (text) => {
    const shown = masked(text);
    found ||= shown !== text;
    return shown;
  });
  if (!found) return accept();
  // Half of a reaction is none.
  const masks = action === 'mask' && (event.kind === 'send' || event.kind === 'edit');
  return masks ? replace(body) : reject(code, reason);
}
