/** Somebody else's words, fit for one line of a log: no line breaks and control characters, nothing that turns the direction of writing, and not without end. */
export function printable(text: string, longest: number): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_C}]+/gu, ' ').slice(0, longest);
}
