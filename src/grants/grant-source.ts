import type { TokenSource } from '../tokens/token-source.js';
import type { CheckedGrant } from './checked-grant.js';
import type { GrantSubject } from './extension-grant.js';

/** The source of a grant's tokens: that of its subject, which may be another one at each call. */
export function grantSource({ subject }: CheckedGrant, sourceOf: (subject: GrantSubject) => TokenSource): TokenSource {
  if (typeof subject !== 'function') return sourceOf(subject);
  return Object.freeze<TokenSource>({
    async getToken(options) {
      options?.signal?.throwIfAborted();
      return sourceOf(await subject(options?.signal)).getToken(options);
    },
  });
}
