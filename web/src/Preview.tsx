// What plugins say about the page that a message links to.
import type { Shown } from "@confab/client";

interface PreviewOfPage {
  url: string;
  title: string;
  description?: string;
  site?: string;
}

/** The previews among the annotations of a message: those called `….preview` that have an address and a title. */
export function previewsOf(annotations: Shown["annotations"]): PreviewOfPage[] {
  return Object.entries(annotations ?? {})
    .filter(([name]) => name.endsWith(".preview"))
    .map(([, value]) => value as Partial<PreviewOfPage> | null)
    .filter((value): value is PreviewOfPage => typeof value?.url === "string" && typeof value.title === "string" && /^https?:\/\//.test(value.url));
}

/** The picture is left out: whoever has it would learn who looks at it. */
export function Preview({ page }: { page: PreviewOfPage }) {
  const host = hostOf(page.url);
  if (!host) return null;
  return (
    <div className="preview" dir="auto">
      <p className="soft"><bdi>{typeof page.site === "string" ? page.site : host}</bdi>{page.site && <span dir="ltr"> · {host}</span>}</p>
      <a href={page.url} target="_blank" rel="noopener noreferrer nofollow ugc">{page.title}</a>
      {typeof page.description === "string" && <p>{page.description}</p>}
    </div>
  );
}

function hostOf(address: string): string | undefined {
  try {
    return new URL(address).host;
  } catch {
    return undefined;
  }
}
