import type { ApiFigures } from './protocol.js';

/** What has been counted so far, read from all three processes while no call is under way. */
export interface Figures {
  /** Since the demo's process began. */
  atMs: number;
  calls: number;
  failures: number;
  tokenRequests: number;
  /** By a refresh, at the authorization server. */
  refreshTokensReplaced: number;
  discoveryRequests: number;
  api: ApiFigures;
}

/** What happened between two readings. */
export function between(before: Figures, after: Figures): Figures & { replays: number } {
  const api: ApiFigures = {
    requests: after.api.requests - before.api.requests,
    refused: after.api.refused - before.api.refused,
    tokens: after.api.tokens - before.api.tokens,
  };
  const calls = after.calls - before.calls;
  return {
    atMs: after.atMs - before.atMs,
    calls,
    failures: after.failures - before.failures,
    tokenRequests: after.tokenRequests - before.tokenRequests,
    refreshTokensReplaced: after.refreshTokensReplaced - before.refreshTokensReplaced,
    discoveryRequests: after.discoveryRequests - before.discoveryRequests,
    api,
    // The clients made `calls`; whatever the API received beyond them was sent a second time.
    replays: api.requests - calls,
  };
}
