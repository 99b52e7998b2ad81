// What Markdown is read as.
import assert from "node:assert/strict";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const lib = { entry: fileURLToPath(new URL("../src/markdown.ts", import.meta.url)), formats: ["es"], fileName: "markdown" };
const [{ output }] = await build({ configFile: false, logLevel: "silent", build: { write: false, minify: false, lib } });
const { markdown, plain } = await import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString("base64")}`);

/** The tree in one line. */
function shown(node) {
  if (node.kind === "paragraph") return all(node.inside);
  if (node.kind === "quote") return `<quote>${node.inside.map(shown).join("|")}</quote>`;
  if (node.kind === "list") return `<${node.ordered ? `ol ${node.start}` : "ul"}>${node.items.map(all).join(";")}`;
  if (node.kind === "break") return "<br>";
  if (node.kind === "mention") return `<@${node.user}>`;
  if (node.kind === "link") return `<a ${node.href}>${all(node.inside)}</a>`;
  if (node.kind === "code") return `<code${node.language ? ` ${node.language}` : ""}>${node.text}</code>`;
  return node.kind === "text" ? node.text : `<${node.kind}>${all(node.inside)}</${node.kind}>`;
}
const all = (nodes) => nodes.map(shown).join("");
const read = (text) => markdown(text).map(shown).join(" ¶ ");

const CASES = [
  ["a_b_c, 2*3*4, 5 * 6, snake_case", "a_b_c, 2*3*4, 5 * 6, snake_case"],
  ["*x*, _y_, **z** and ~~gone~~", "<em>x</em>, <em>y</em>, <strong>z</strong> and <del>gone</del>"],
  ["**bold _both_**", "<strong>bold <em>both</em></strong>"],
  ["`a *b*` c", "<code>a *b*</code> c"],
  ["see https://en.wikipedia.org/wiki/A_(b).", "see <a https://en.wikipedia.org/wiki/A_(b)>https://en.wikipedia.org/wiki/A_(b)</a>."],
  ["(https://example.com/x), https://a.example?!", "(<a https://example.com/x>https://example.com/x</a>), <a https://a.example/>https://a.example</a>?!"],
  ["[x](mailto:a@b.example) [y](ftp://z) [z](javascript:1)", "<a mailto:a@b.example>x</a> [y](ftp://z) [z](javascript:1)"],
  ["hi @ada. mail me@example.com", "hi <@ada>. mail me@example.com"],
  ["a\nb\n\nc", "a<br>b ¶ c"],
  ["- one\n- two\ntext", "<ul>one;two ¶ text"],
  ["3. c\n4. d", "<ol 3>c;d"],
  ["-5 degrees, # no heading", "-5 degrees, # no heading"],
  ["> q\n> > deeper\nnext", "<quote>q|<quote>deeper</quote></quote> ¶ next"],
  ["```rust\nlet a;\n\nlet b;\n```\nafter", "<code rust>let a;\n\nlet b;</code> ¶ after"],
  ["```\nnever closed", "<code>never closed</code>"],
  ["<b>no</b> &amp; markup", "<b>no</b> &amp; markup"],
  ["", ""],
];
for (const [text, wanted] of CASES) test(`${JSON.stringify(text)} is read`, () => assert.equal(read(text), wanted));

test("plain text has links and lines, and nothing else", () => {
  assert.equal(plain("**a** https://b.example\nc").map(shown).join(""), "**a** <a https://b.example/>https://b.example</a><br>c");
});

test("reading takes time in proportion to the text, whatever it is", () => {
  const times = (part) => {
    const begun = performance.now();
    markdown(part.repeat(Math.floor(19_900 / part.length)));
    return performance.now() - begun;
  };
  for (const part of ["*a ", "**a ", "[a](", "`a``", "_a", "> ", "@", "http://", "[", "`", "**a*", "~~", "- ", "1. ", "\n", "((https://a"]) {
    assert.ok(times(part) < 1000, `${part} takes ${times(part)} ms`);
  }
});
