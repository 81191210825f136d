import { createHash } from 'node:crypto';
import { Html, html } from './html.js';

/** What the pages of the examples have in common. One style sheet for phone and desktop, light and dark; nothing is loaded from elsewhere. */
const style = `
:root { color-scheme: light dark; --ground: #f3f5f9; --card: #fff; --text: #171b26; --quiet: #5b6478; --line: #e1e5ee; --accent: #3550d8; --on-accent: #fff; --soft: #eaeefd; --code: #f7f8fc; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0f1117; --card: #181b24; --text: #e8eaf1; --quiet: #9aa3b8; --line: #2a2f3d; --accent: #8ea2ff; --on-accent: #0d101a; --soft: #222a4a; --code: #11141b; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; background: var(--ground); color: var(--text); font: 1rem/1.55 -apple-system, "Segoe UI", Roboto, "Liberation Sans", system-ui, sans-serif; }
main { width: min(100% - 2rem, 62rem); margin: 0 auto; padding: clamp(1.25rem, 5vh, 3rem) 0; }
main.narrow { width: min(100% - 2rem, 26rem); padding-top: clamp(2rem, 14vh, 8rem); }
header { margin: 0 0 1.5rem; }
header p { margin: 0; }
h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.015em; }
h2 { margin: 0 0 1rem; font-size: 1.0625rem; line-height: 1.4; }
p { margin: 0 0 1.25rem; }
.quiet, li time { color: var(--quiet); }
.small { font-size: .875rem; }
.card { margin: 0 0 1rem; padding: clamp(1.25rem, 4vw, 1.75rem); background: var(--card); border: 1px solid var(--line); border-radius: 1rem; box-shadow: 0 1px 2px rgb(0 0 0 / .04); }
.card > :last-child { margin-bottom: 0; }
.row { display: flex; align-items: center; justify-content: space-between; gap: .75rem 1rem; }
.row > * { margin-bottom: 0; }
.card > .row { margin-bottom: 1.25rem; }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; }
button, .button { flex: none; display: inline-block; padding: .625rem 1.125rem; border: 1px solid var(--accent); border-radius: .625rem; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; line-height: 1.5; text-align: center; text-decoration: none; white-space: nowrap; cursor: pointer; }
button:hover, .button:hover { filter: brightness(1.08); }
button:focus-visible, .button:focus-visible, input:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
button.plain { background: var(--card); color: inherit; border-color: var(--line); }
button:disabled { opacity: .6; cursor: default; }
form { margin: 0; }
label { display: block; margin: 0 0 .375rem; font-weight: 600; }
input { display: block; width: 100%; margin: 0 0 1.25rem; padding: .625rem .75rem; border: 1px solid var(--line); border-radius: .625rem; background: var(--code); color: inherit; font: inherit; }
ul { margin: 0 0 1.25rem; padding-left: 1.25rem; }
ol { margin: 1.25rem 0; padding: 0; list-style: none; font-size: .9375rem; }
ol li { display: flex; flex-wrap: wrap; gap: 0 clamp(.625rem, 2vw, 1rem); padding: .5rem 0; border-top: 1px solid var(--line); font-variant-numeric: tabular-nums; }
.new { padding: 0 .5rem; border-radius: 1rem; background: var(--soft); color: var(--accent); font-weight: 600; }
dl { margin: 0; }
dt { color: var(--quiet); font-size: .875rem; }
dd { margin: 0 0 .75rem; overflow-wrap: anywhere; }
dd:last-child { margin-bottom: 0; }
code, pre { font: .875rem/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
pre { margin: 0; padding: 1rem 1.125rem; background: var(--code); border: 1px solid var(--line); border-radius: .625rem; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (min-width: 54rem) { .columns { display: grid; grid-template-columns: 1.7fr 1fr; gap: 0 1rem; } }
@media (max-width: 30rem) { ol { font-size: .875rem; } .buttons { flex-direction: column; } main.narrow .button, main.narrow button { display: block; width: 100%; } }
`;

/** For a `Content-Security-Policy`: what these pages may do. */
export const styleSource: string = sourceOf(style);

export function sourceOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

export interface Page {
  title: string;
  content: Html;
  /** For a page with one thing to do. @default false */
  narrow?: boolean;
}

export function document({ title, content, narrow = false }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${new Html(style)}</style>
</head>
<body>
<main class="${narrow ? 'narrow' : 'wide'}">
${content}
</main>
</body>
</html>
`.markup;
}
