import type { Figures } from './figures.js';
import { TOKEN_LIFETIME_MS } from './servers.js';
import { count, seconds, type Claim } from './terminal.js';

const MIN_CALLS = 2_000;
export const MAX_DURATION_MS = 60_000;
/** A token may be renewed from a fifth of its life before its end, moved earlier by up to a tenth at random. */
const MIN_AGE_AT_RENEWAL_MS = TOKEN_LIFETIME_MS * 0.7;
const REVOKED_TOKENS = 1;

/** What is claimed of the daemon as a whole. */
export function daemonTotals({ atMs, calls, failures, tokenRequests, api }: Figures): Claim[] {
  const maxTokenRequests = 1 + REVOKED_TOKENS + Math.floor(atMs / MIN_AGE_AT_RENEWAL_MS);
  const replays = api.requests - calls;
  return [
    { claim: `calls, at least ${count(MIN_CALLS)}`, measured: count(calls), holds: calls >= MIN_CALLS },
    { claim: 'failed calls', measured: count(failures), holds: failures === 0 },
    { claim: `token requests in ${seconds(atMs)}, at most ${count(maxTokenRequests)}`, measured: count(tokenRequests), holds: tokenRequests <= maxTokenRequests },
    { claim: 'token requests whose token the API never saw', measured: count(tokenRequests - api.tokens), holds: tokenRequests === api.tokens },
    { claim: 'replays, one for each 401', measured: count(replays), holds: replays === api.refused },
  ];
}

export function duration(): Claim {
  const atMs = performance.now();
  return { claim: `duration, less than ${seconds(MAX_DURATION_MS)}`, measured: seconds(atMs), holds: atMs < MAX_DURATION_MS };
}
