// The contract's values, said in a word. What they mean stands in the contract's reference, docs/reference/plugin-contract.md.

/** The event goes on as it is; `annotations` are added to it, by name: any JSON value. */
export function accept(annotations = {}) {
  return verdict({ tag: 'accept', val: notes(annotations) });
}

/** The event goes on with another body: any JSON value. */
export function replace(body, annotations = {}) {
  return verdict({ tag: 'replace', val: { body: JSON.stringify(body), annotations: notes(annotations) } });
}

/** The event goes on with another `text`. The rest of its body is kept, written anew. */
export function replaceText(event, text, annotations = {}) {
  return replace({ ...JSON.parse(event.body), text }, annotations);
}

/**
 * A JSON value with `change(string)` in place of every string, at whatever depth. The names of members are none. Whoever shows
 * a body may show any of them, so a plugin that looks for what must not be said looks here.
 */
export function mapStrings(value, change) {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapStrings(item, change));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mapStrings(item, change)]));
}

/** The event is refused: `code` is 400 to 1999, and `reason` what the sender is told. */
export function reject(code, reason, details = undefined) {
  return verdict({ tag: 'reject', val: { code, reason, details: details && JSON.stringify(details) } });
}

/** The event waits for a moderator, who is told why. */
export function hold(why) {
  return verdict({ tag: 'hold', val: why });
}

/** What happens besides: the sender, and nobody else, is told a sentence. */
export function withNotice(said, text) {
  return { ...said, effects: [...said.effects, { tag: 'notice', val: text }] };
}

/** What happens besides: the sender may not speak in this room for so many seconds. */
export function withMute(said, seconds, reason) {
  return { ...said, effects: [...said.effects, { tag: 'mute', val: { seconds, reason } }] };
}

/** What happens besides: moderators should look at the event. */
export function withFlag(said, why) {
  return { ...said, effects: [...said.effects, { tag: 'flag', val: why }] };
}

/** What `configure` throws where the settings cannot work; the operator is shown it. */
export function settingsError(why) {
  return Object.assign(new Error(why), { payload: why });
}

function verdict(decision) {
  return { decision, effects: [] };
}

function notes(annotations) {
  return Object.entries(annotations).map(([name, value]) => [name, JSON.stringify(value)]);
}
