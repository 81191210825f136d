import type { Clock } from '../clock.js';
import type { TokenBinding } from '../tokens/token-binding.js';
import type { PresentedCertificate } from '../transport/client-certificate.js';
import { createNonces } from './dpop/nonces.js';
import type { ProofKey } from './dpop/proof-key.js';

export interface BindingContext {
  /** That of the client, if it has one: tokens may be bound to it (RFC 8705 section 3), which their APIs know. */
  readonly certificate: PresentedCertificate | undefined;
  readonly clock: Clock;
}

/** What goes with the tokens of each key. All share the nonces of the APIs, which are those of the authorization server only by chance (RFC 9449 section 9). */
export function tokenBindings({ certificate, clock }: BindingContext): (key: ProofKey | undefined) => TokenBinding | undefined {
  const nonces = createNonces();
  const dispatcher = certificate && { dispatcher: async () => certificate.dispatcher(false) };
  return (key) => {
    if (key === undefined) return dispatcher;
    return {
      prove: async ({ method, url, accessToken }) => key.prove({ method, url, accessToken, nonce: nonces.of(url.origin), now: clock.now() }),
      learn: (origin, headers) => nonces.learn(origin, headers),
      ...dispatcher,
    };
  };
}
