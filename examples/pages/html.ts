/** Markup that is safe to send as it is. */
export class Html {
  readonly markup: string;

  constructor(markup: string) {
    this.markup = markup;
  }
}

type Content = Html | string | number | readonly Html[] | undefined;

/** Markup with everything escaped that is put into it; what is `Html` already stays as it is. */
export function html({ raw }: TemplateStringsArray, ...contents: Content[]): Html {
  return new Html(String.raw({ raw }, ...contents.map((content) => [content ?? ''].flat().map(markupOf).join(''))));
}

function markupOf(content: Html | string | number): string {
  return content instanceof Html ? content.markup : escaped(String(content));
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', '\'': '&#39;' };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
