import { inspect } from 'node:util';
import { serialize } from 'node:v8';

/** A text as servers and frameworks write it when they echo it. */
export function everySpelling(text: string): [encoding: string, spelling: string][] {
  const bytes = Buffer.from(text);
  const json = JSON.stringify(text).slice(1, -1);
  const markup = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const spellings: [string, string][] = [
    ['as it is', text],
    ['percent-encoded', encodeURIComponent(text)],
    ['percent-encoded, reserved characters too', encodeURIComponent(text).replace(/[-_.!~*'()]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)],
    ['percent-encoded as a whole URL is', encodeURI(text)],
    ['form-encoded', new URLSearchParams({ '': text }).toString().slice(1)],
    ['in JSON', json],
    ['in JSON with slashes escaped', json.replaceAll('/', '\\/')],
    ['in JSON of ASCII only', json.replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)],
    ['in JSON inside JSON', JSON.stringify(json).slice(1, -1)],
    ['in HTML text', markup],
    ['in an HTML attribute', markup.replaceAll('"', '&quot;')],
    ['in HTML, apostrophes as &#39;', markup.replaceAll('"', '&quot;').replaceAll("'", '&#39;')],
    ['in HTML, apostrophes as &#039;', markup.replaceAll('"', '&quot;').replaceAll("'", '&#039;')],
    ['in HTML, apostrophes as &#x27;', markup.replaceAll('"', '&quot;').replaceAll("'", '&#x27;')],
    ['in HTML, quotes by number', markup.replaceAll('"', '&#34;').replaceAll("'", '&#39;')],
    ['in HTML, all by number', text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)],
    ['in base64', bytes.toString('base64')],
    ['in base64 without padding', bytes.toString('base64').replace(/=+$/, '')],
    ['in base64url', bytes.toString('base64url')],
    ['in hexadecimal', bytes.toString('hex')],
    ['in hexadecimal, capitals', bytes.toString('hex').toUpperCase()],
  ];
  return spellings;
}

const DEEPEST = 20;

/** Everything that printing, serializing, copying or walking a value brings to light. */
export function textsOf(value: unknown): string[] {
  return [
    ...attempts(
      () => inspect(value, { depth: DEEPEST, showHidden: true, getters: true, maxStringLength: null, maxArrayLength: null, breakLength: Infinity }),
      () => inspect(value),
      () => String(value),
      () => JSON.stringify(value),
      () => {
        const bytes = serialize(value);
        return `${bytes.toString('utf8')}${bytes.toString('latin1')}${bytes.toString('utf16le')}${bytes.subarray(1).toString('utf16le')}`;
      },
      () => inspect(structuredClone(value), { depth: DEEPEST, showHidden: true }),
    ),
    ...value instanceof Error ? chain(value) : [],
  ];
}

/** What refuses to be copied says why, and that is a text as well. */
function attempts(...views: (() => string | undefined)[]): string[] {
  return views.map((view) => {
    try {
      return view() ?? '';
    } catch (thrown) {
      return String(thrown);
    }
  });
}

function chain(error: Error): string[] {
  const texts: string[] = [];
  const seen = new Set<unknown>();
  for (let current: unknown = error; current instanceof Error && !seen.has(current); current = current.cause) {
    seen.add(current);
    texts.push(current.name, current.message, current.stack ?? '', JSON.stringify(Object.getOwnPropertyDescriptors(current)));
  }
  return texts;
}
