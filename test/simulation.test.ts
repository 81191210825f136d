import { afterAll, beforeAll, expect, test } from 'vitest';
import fc from 'fast-check';
import { createTokenManager, OAuthError, type AccessToken } from 'grantkeeper';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { ManualClock } from './support/clock.js';

const minute = 60_000;
const hour = 60 * minute;
const lifetime = hour;
/** The longest that a failure is shared after the authorization server is back. */
const longestPause = 30_000;

type Step =
  | { readonly kind: 'pass'; readonly milliseconds: number }
  | { readonly kind: 'call'; readonly callers: number }
  | { readonly kind: 'revoke' }
  | { readonly kind: 'server'; readonly status: 200 | 429 | 503 }
  | { readonly kind: 'wall clock'; readonly jump: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), milliseconds: fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 2 * hour })) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('call' as const), callers: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('server' as const), status: fc.constantFrom(200 as const, 429 as const, 503 as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wall clock' as const), jump: fc.integer({ min: -hour, max: hour }) }) },
);

let server: AuthorizationServer;

beforeAll(async () => {
  server = await startAuthorizationServer({ expiresIn: lifetime / 1_000 });
});

afterAll(async () => {
  await server.close();
});

/** Plays one life of a daemon, and holds what may never happen against every answer that its callers get. */
async function live(steps: readonly Step[]): Promise<void> {
  server.answersAsUsual();
  const clock = new ManualClock();
  const manager = createTokenManager({ issuer: server.issuer, clientId: 'billing', clientSecret: 'test secret', allowInsecureRequests: true, clock, retry: { minDelay: 0 } });
  const source = manager.clientCredentials();
  const issuedAt = new Map<string, number>();
  let status = 200;
  let recoveredAt = -Infinity;
  const revoked = new Set<string>();

  const outcomeOf = async (rejected?: AccessToken): Promise<AccessToken | OAuthError> =>
    source.getToken(rejected === undefined ? {} : { rejected }).catch((error: unknown) => {
      if (error instanceof OAuthError) return error;
      throw error;
    });

  for (const current of steps) {
    const requestsBefore = server.tokenRequests.length;
    switch (current.kind) {
      case 'pass':
        clock.advance(current.milliseconds);
        break;
      case 'wall clock':
        clock.jumpWallClock(current.jump);
        break;
      case 'server':
        if (status !== 200 && current.status === 200) recoveredAt = clock.monotonic();
        status = current.status;
        if (status === 200) server.answersAsUsual();
        else server.answersEvery({ status });
        break;
      case 'revoke': {
        const held = await outcomeOf();
        if (held instanceof OAuthError) break;
        revoked.add(held.value);
        const successor = await outcomeOf(held);
        // Only a pause after repeated refusals gives a refused token back; nothing here accepts tokens, so the pauses are in force.
        if (!(successor instanceof OAuthError) && successor.value !== held.value) expect(revoked).not.toContain(successor.value);
        break;
      }
      case 'call': {
        const outcomes = await Promise.all(Array.from({ length: current.callers }, async () => outcomeOf()));
        const tokens = outcomes.filter((outcome): outcome is AccessToken => !(outcome instanceof OAuthError));
        const errors = outcomes.filter((outcome) => outcome instanceof OAuthError);
        // A failure only while the server fails, or for as long as its last failure is shared.
        if (errors.length > 0) expect(status !== 200 || clock.monotonic() - recoveredAt <= longestPause).toBe(true);
        expect(errors.every(({ retryable }) => retryable)).toBe(true);
        for (const { value } of tokens) {
          if (!issuedAt.has(value)) issuedAt.set(value, clock.monotonic());
          expect(clock.monotonic() - (issuedAt.get(value) ?? 0)).toBeLessThan(lifetime);
        }
        expect(new Set(tokens.map(({ value }) => value)).size).toBeLessThanOrEqual(1);
        break;
      }
    }
    // However many callers: one flight of three tries, and one in the background.
    expect(server.tokenRequests.length - requestsBefore).toBeLessThanOrEqual(current.kind === 'revoke' ? 7 : 4);
  }
  await manager.close();
}

test('weeks of a daemon: no expired token is served, no failure outlasts the outage, no storm', { timeout: 60_000 }, async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), live), { numRuns: 60 });
});
