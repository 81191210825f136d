const placeholder = '[redacted]';

/**
 * Servers echo what they were sent: their texts are searched for the request's secrets, as they are and in every encoding that they
 * may have gone through. A text in which a secret is left after that, e.g. encoded twice, is dropped whole.
 */
export function redact(text: string, secrets: readonly string[]): string {
  const spellings = secrets.filter((secret) => secret !== '').flatMap(spellingsOf).sort((a, b) => b.length - a.length);
  const redacted = spellings.reduce((rest, spelling) => rest.replaceAll(new RegExp(escapeRegExp(spelling), 'gi'), placeholder), text);
  return secrets.some((secret) => secret !== '' && decodings(redacted).some((decoded) => decoded.includes(secret))) ? placeholder : redacted;
}

function spellingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    encodeURIComponent(secret),
    encodeURI(secret),
    new URLSearchParams({ '': secret }).toString().slice(1),
    JSON.stringify(secret).slice(1, -1),
    secret.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0) ?? 0};`),
    secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
  ];
}

function decodings(text: string): string[] {
  const once = decode(text);
  return [text, once, decode(once)];
}

function decode(text: string): string {
  return text.replaceAll('+', ' ').replace(/(%[0-9a-f]{2})+/gi, (run) => {
    try {
      return decodeURIComponent(run);
    } catch {
      return run;
    }
  });
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
