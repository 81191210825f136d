/** Access tokens of the benchmark say when they expire, so that the API can refuse an expired one without asking anybody. */

export function issue(lifetime: number): string {
  serial += 1;
  return ['bench', serial.toString(36).padStart(8, '0'), 'x'.repeat(32), Date.now() + lifetime * 1000].join('.');
}

export function expiryOf(token: string): number {
  return Number(token.slice(token.lastIndexOf('.') + 1));
}

let serial = 0;
