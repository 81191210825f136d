const tenYears = 10 * 365 * 24 * 60 * 60;

/**
 * `expires_in` (RFC 6749 section 5.1) in whole seconds. Servers send it as a number, as the text of one, and as `h:mm:ss`;
 * anything else counts as absent. More than ten years is clamped to that; 0 and less are returned as they are.
 */
export function readExpiresIn(value: unknown): number | undefined {
  const seconds = typeof value === 'number' ? value : typeof value === 'string' ? fromText(value.trim()) : Number.NaN;
  return Number.isNaN(seconds) ? undefined : Math.min(Math.floor(seconds), tenYears);
}

function fromText(value: string): number {
  if (/^[+-]?\d+(\.\d*)?(e[+-]?\d+)?$/i.test(value)) return Number(value);
  const [, hours, minutes, seconds] = /^(\d+):([0-5]\d):([0-5]\d)$/.exec(value) ?? [];
  return Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds);
}
