// Markdown, as far as a chat needs it: read into a small tree that React shows. Nothing of it is ever HTML.

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong" | "em" | "del"; inside: Inline[] }
  | { kind: "link"; href: string; host: string; inside: Inline[] }
  | { kind: "mention"; user: string }
  | { kind: "break" };

export type Block =
  | { kind: "paragraph"; inside: Inline[] }
  | { kind: "code"; language: string; text: string }
  | { kind: "quote"; inside: Block[] }
  | { kind: "list"; ordered: boolean; start: number; items: Inline[][] };

/** How deep quotes and emphasis go; what is deeper stays text. */
const DEPTH_MAX = 6;
/** Longer texts are shown as they are: what nobody reads must not cost anybody time. */
const LENGTH_MAX = 20_000;

/** Reads Markdown. */
export function markdown(text: string, depth = 0): Block[] {
  if (text.length > LENGTH_MAX || depth > DEPTH_MAX) return plain(text);
  const blocks: Block[] = [];
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  for (let i = 0; i < lines.length; ) {
    const line = lines[i] ?? "";
    const fence = /^(`{3,}|~{3,})\s*([\w+#.-]*)\s*$/.exec(line);
    if (fence) {
      const end = lines.findIndex((other, at) => at > i && other.trim() === fence[1]);
      const last = end < 0 ? lines.length : end;
      blocks.push({ kind: "code", language: fence[2] ?? "", text: lines.slice(i + 1, last).join("\n") });
      i = last + 1;
    } else if (/^>/.test(line)) {
      const taken = takeWhile(lines, i, (other) => /^>/.test(other));
      blocks.push({ kind: "quote", inside: markdown(taken.map((one) => one.replace(/^> ?/, "")).join("\n"), depth + 1) });
      i += taken.length;
    } else if (ITEM.test(line)) {
      const ordered = /^\s*\d/.test(line);
      const taken = takeWhile(lines, i, (other) => ITEM.test(other) && /^\s*\d/.test(other) === ordered);
      const items = taken.map((one) => inline(one.replace(ITEM, "")));
      blocks.push({ kind: "list", ordered, start: Number.parseInt(line, 10) || 1, items });
      i += taken.length;
    } else if (line.trim() === "") {
      i += 1;
    } else {
      const taken = takeWhile(lines, i, (other) => other.trim() !== "" && !/^(>|`{3,}|~{3,})/.test(other) && !ITEM.test(other));
      blocks.push({ kind: "paragraph", inside: inline((taken.length ? taken : [line]).join("\n")) });
      i += Math.max(1, taken.length);
    }
  }
  return blocks;
}

/** Text as it is, with its links. */
export function plain(text: string): Block[] {
  return [{ kind: "paragraph", inside: text.length > LENGTH_MAX ? [{ kind: "text", text }] : inline(text, 0, false) }];
}

const ITEM = /^\s{0,3}(?:[-*+]|\d{1,9}[.)])\s+(?=\S)/;

function takeWhile(lines: readonly string[], from: number, fits: (line: string) => boolean): string[] {
  let to = from;
  while (to < lines.length && fits(lines[to] ?? "")) to += 1;
  return lines.slice(from, to);
}

// Each alternative begins with something rare, and none nests repetitions: reading takes time in proportion to the text.
const MARKED =
  /(`+)([^`]+)\1|\[([^\][\n]{1,300})\]\(([^\s()]{1,2000})\)|(\*\*|__|~~)(?=\S)([^\n]{0,2000}?\S)\5|(?<![\w*])([*_])(?=\S)([^*_\n]{1,500}?)(?<=\S)\7(?![\w*])|(https?:\/\/[^\s<>"'`]{1,2000})|(?<![\w@])@([\w.-]{1,64})|(\n)/u;
const UNMARKED = /(?:()()()()()()()()(https?:\/\/[^\s<>"'`]{1,2000})|(?<![\w@])@([\w.-]{1,64})|(\n))/u;

function inline(text: string, depth = 0, marked = true): Inline[] {
  const found: Inline[] = [];
  let rest = text;
  while (rest) {
    const match = (marked && depth <= DEPTH_MAX ? MARKED : UNMARKED).exec(rest);
    if (!match) break;
    const before = rest.slice(0, match.index);
    if (before) found.push({ kind: "text", text: before });
    const [used, node] = read(match, depth);
    found.push(...node);
    rest = rest.slice(match.index + used);
  }
  if (rest) found.push({ kind: "text", text: rest });
  return found;
}

/** How many characters a match takes, and what they are. */
function read(match: RegExpExecArray, depth: number): [number, Inline[]] {
  const [whole, , code, label, target, double, strong, , em, address, mention] = match;
  if (code !== undefined && code !== "") return [whole.length, [{ kind: "code", text: code.trim() || code }]];
  if (label) {
    const link = linkTo(target ?? "", inline(label, depth + 1));
    return [whole.length, [link ?? { kind: "text", text: whole }]];
  }
  if (double && strong) return [whole.length, [{ kind: double === "~~" ? "del" : "strong", inside: inline(strong, depth + 1) }]];
  if (em) return [whole.length, [{ kind: "em", inside: inline(em, depth + 1) }]];
  if (address) {
    const shown = withoutEnd(address);
    return [shown.length, [linkTo(shown, [{ kind: "text", text: shown }]) ?? { kind: "text", text: shown }]];
  }
  if (mention) {
    const user = mention.replace(/[.-]+$/, "");
    return user ? [user.length + 1, [{ kind: "mention", user }]] : [1, [{ kind: "text", text: "@" }]];
  }
  return [whole.length, whole === "\n" ? [{ kind: "break" }] : [{ kind: "text", text: whole }]];
}

/** An address without the signs that end the sentence around it; a closing bracket belongs to it if it opens one. */
function withoutEnd(address: string): string {
  for (let shown = address; ; shown = shown.slice(0, -1)) {
    const last = shown.at(-1) ?? "";
    const opened = shown.split("(").length >= shown.split(")").length;
    if (!/[.,;:!?*_~\]})]/.test(last) || (last === ")" && opened)) return shown;
  }
}

/** A link, if it leads to a page or an address for mail. Its host is as the browser would ask for it, letters of other scripts spelled out. */
function linkTo(address: string, inside: Inline[]): Inline | undefined {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return undefined;
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return undefined;
  return { kind: "link", href: url.href, host: url.protocol === "mailto:" ? url.pathname : url.host, inside };
}
