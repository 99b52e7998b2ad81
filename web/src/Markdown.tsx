// Shows a text: Markdown or plain, links that say where they lead, and names that are called.
import { memo, useState, type ReactNode } from "react";
import { Icon } from "./Icon";
import { markdown, plain, type Block, type Inline } from "./markdown";

export const Text = memo(function Text({ text, rich, me }: { text: string; rich: boolean; me: string }) {
  const blocks = rich ? markdown(text) : plain(text);
  return <div className="text" dir="auto">{blocks.map((block, i) => <BlockView key={i} block={block} me={me} />)}</div>;
});

function BlockView({ block, me }: { block: Block; me: string }): ReactNode {
  switch (block.kind) {
    case "paragraph":
      return <p dir="auto">{inlines(block.inside, me)}</p>;
    case "code":
      return <CodeBlock language={block.language} text={block.text} />;
    case "quote":
      return <blockquote>{block.inside.map((inner, i) => <BlockView key={i} block={inner} me={me} />)}</blockquote>;
    case "list": {
      const items = block.items.map((item, i) => <li key={i} dir="auto">{inlines(item, me)}</li>);
      return block.ordered ? <ol start={block.start}>{items}</ol> : <ul>{items}</ul>;
    }
  }
}

function inlines(nodes: readonly Inline[], me: string): ReactNode[] {
  return nodes.map((node, i) => <InlineView key={i} node={node} me={me} />);
}

function InlineView({ node, me }: { node: Inline; me: string }): ReactNode {
  switch (node.kind) {
    case "text":
      return node.text;
    case "code":
      return <code dir="ltr">{node.text}</code>;
    case "strong":
      return <strong>{inlines(node.inside, me)}</strong>;
    case "em":
      return <em>{inlines(node.inside, me)}</em>;
    case "del":
      return <del>{inlines(node.inside, me)}</del>;
    case "mention":
      return <span className={node.user === me ? "mention mine" : "mention"}>@{node.user}</span>;
    case "break":
      return <br />;
    case "link":
      return <LinkView node={node} me={me} />;
  }
}

/** Where the words of a link do not say where it leads, the host stands beside them. */
function LinkView({ node, me }: { node: Extract<Inline, { kind: "link" }>; me: string }): ReactNode {
  const words = node.inside.map((inner) => ("text" in inner ? inner.text : "")).join("");
  const says = words.includes(node.host);
  return (
    <>
      <a href={node.href} title={node.href} target="_blank" rel="noopener noreferrer nofollow ugc">{inlines(node.inside, me)}</a>
      {!says && <span className="host" dir="ltr"> ({node.host})</span>}
    </>
  );
}

function CodeBlock({ language, text }: { language: string; text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = () => {
    void navigator.clipboard.writeText(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    });
  };
  return (
    <div className="code-block" dir="ltr">
      <div className="code-bar">
        <span>{language || "code"}</span>
        <button type="button" className="quiet small" onClick={copy}>
          <Icon name={copied ? "check" : "copy"} size={14} />
          {copied ? "Copied" : "Copy"}
        </button>
      </div>
      <pre tabIndex={0}><code>{text}</code></pre>
    </div>
  );
}
