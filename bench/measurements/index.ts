import type { Measurement } from '../measurement.js';

interface Entry { readonly about: string; readonly load: () => Promise<{ readonly default: Measurement }> }

/** In the order of the report. Loaded one per process, so that none runs with the others' packages. */
export const measurements: ReadonlyMap<string, Entry> = new Map([
  ['authorized-get', { about: 'warm authorized GET at concurrency 1 and 32', load: () => import('./authorized-get.js') }],
  ['get-token', { about: 'warm getToken() calls per second', load: () => import('./get-token.js') }],
  ['cold-callers', { about: 'token requests for 10,000 cold callers', load: () => import('./cold-callers.js') }],
  ['staggered-401s', { about: 'token requests for 10 staggered 401s', load: () => import('./staggered-401s.js') }],
  ['session-expiry', { about: 'token requests for 100 callers of one session at expiry', load: () => import('./session-expiry.js') }],
  ['lock-cycles', { about: 'lock cycles per second on Redis and PostgreSQL', load: () => import('./lock-cycles.js') }],
  ['shared-store', { about: 'what a shared store and lock add to a warm getToken()', load: () => import('./shared-store.js') }],
  ['heap', { about: 'heap per cached token at 100,000 distinct requests', load: () => import('./heap.js') }],
  ['upload', { about: 'memory retained by a 128 MiB streamed upload', load: () => import('./upload.js') }],
  ['import-time', { about: 'import time in a fresh process', load: () => import('./import-time.js') }],
  ['renewals', { about: 'slow calls around renewals', load: () => import('./renewals.js') }],
  ['outage', { about: 'a 5 s outage of the token endpoint', load: () => import('./outage.js') }],
]);
