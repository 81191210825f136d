import { deadlineIn, orAbort, waitFor } from '../deadline.js';
import type { TokenSource } from '../tokens/token-source.js';
import type { CheckedGrant } from './checked-grant.js';
import type { GrantSubject } from './extension-grant.js';

/** The source of a grant's tokens: that of its subject, which may be another one at each call. */
export function grantSource({ subject }: CheckedGrant, sourceOf: (subject: GrantSubject) => TokenSource, timeout: number): TokenSource {
  if (typeof subject !== 'function') return sourceOf(subject);
  return Object.freeze<TokenSource>({
    async getToken(options) {
      options?.signal?.throwIfAborted();
      const { signal, clear } = deadlineIn(timeout, `grant: subject() gave nothing within ${timeout} ms (option \`timeout\`)`);
      const found = await waitFor(orAbort(subject(options?.signal), signal)).finally(clear);
      return sourceOf(found).getToken(options);
    },
  });
}
