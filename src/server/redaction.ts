import { formEncode } from './form-encoding.js';

const placeholder = '[redacted]';

/** Replaces what must not be seen in a text. */
export type Redactor = (text: string) => string;

/**
 * Servers echo what they were sent: their texts are searched for secrets, as they are and in the encodings that they
 * may have gone through. A text that still reads as a secret after any further decoding is dropped whole.
 */
export function createRedactor(secrets: readonly string[]): Redactor {
  const sought = secrets.filter((secret) => secret !== '');
  if (sought.length === 0) return (text) => text;
  const spellings = sought.flatMap(spellingsOf).sort((a, b) => b.length - a.length);
  const patterns = spellings.filter((spelling) => spelling.length <= longestPattern).map((spelling) => new RegExp(escapeRegExp(spelling), 'gi'));
  const long = spellings.filter((spelling) => spelling.length > longestPattern).map((spelling) => spelling.toLowerCase());
  const needles = sought.map((secret) => secret.toLowerCase());
  return (text) => {
    const lowered = text.toLowerCase();
    if (long.some((spelling) => lowered.includes(spelling))) return placeholder;
    const redacted = patterns.reduce((rest, pattern) => rest.replaceAll(pattern, placeholder), text);
    for (const reading of readings(redacted)) {
      const haystack = reading.toLowerCase();
      if (needles.some((needle) => haystack.includes(needle))) return placeholder;
    }
    return redacted;
  };
}

/** The most characters that are made an expression, which engines refuse past some size: a token may have 16 kB. A text with a longer one is dropped whole. */
const longestPattern = 4_000;

function spellingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    // By way of its bytes: a lone surrogate would throw.
    encodeURIComponent(bytes.toString()),
    formEncode(secret),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString('base64'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ];
}

type Decoder = (text: string) => string;

const percent: Decoder = (text) => text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
const spaces: Decoder = (text) => text.replaceAll('+', ' ');
const json: Decoder = (text) => text.replace(/\\u([0-9a-f]{4})/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16))).replace(/\\(["\\/])/g, '$1');
const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
const html: Decoder = (text) => text.replace(/&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-f]{1,6}));/gi, (_, name: string | undefined, decimal: string | undefined, hex: string | undefined) =>
  name === undefined ? codePoint(decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)) : named[name.toLowerCase()] ?? '');

function codePoint(code: number): string {
  return code <= 0x10ffff ? String.fromCodePoint(code) : '';
}

/** What a text means to who decodes it, once to three times; a plus sign may be one, or a space. */
function* readings(text: string): Generator<string> {
  yield text;
  for (const decoders of [[percent, html, json], [spaces, percent, html, json]]) {
    let reading = text;
    for (let round = 0; round < 3; round += 1) {
      for (const decode of decoders) {
        const next = decode(reading);
        if (next !== reading) yield next;
        reading = next;
      }
    }
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
