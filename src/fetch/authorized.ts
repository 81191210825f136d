import { orAbort } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { isTokenText, IssuedToken, type AccessToken } from '../tokens/access-token.js';
import type { TokenBinding } from '../tokens/token-binding.js';
import type { TokenSource } from '../tokens/token-source.js';
import { discard } from '../transport/transport.js';
import { challenges } from './challenge.js';
import type { FetchSettings } from './fetch-options.js';
import type { Outgoing } from './outgoing.js';
import type { Call, Exchange } from './exchange.js';

type AuthorizationSettings = Pick<FetchSettings, 'origins' | 'replay' | 'rejectedStatus' | 'tokenHeader' | 'tokenScheme' | 'dispatcher'>;

/**
 * Puts the token on the request (RFC 6750 section 2.1), with what it's bound to (RFC 9449 section 7, RFC 8705 section 3), and answers a refusal with another token, once for
 * each call. Invariants:
 *
 * - No token leaves for an origin that is not allowed, and none is asked for on its behalf.
 * - A caller's own authorization is left alone: no token is fetched, and nothing is made of a refusal.
 * - A token that is bound to a key leaves with a proof that is made for this one request, or not at all.
 * - The refused response stays whole until there is a different token; only then is its body given up, right before the second send.
 */
export function authorized(source: TokenSource, settings: AuthorizationSettings, next: Exchange): Exchange {
  const attempt = async (outgoing: Outgoing, token: AccessToken, call: Call): Promise<{ response: Response; refused: boolean }> => {
    const response = await sent(outgoing, token, settings, call, next);
    const refused = isRefusal(response, settings.rejectedStatus);
    const observer = IssuedToken.observerOf(token);
    if (refused) observer?.refusedBy(response.status, outgoing.url.origin);
    else if (response.ok || response.status === 304) observer?.accepted();
    return { response, refused };
  };

  return async (outgoing, call) => {
    if (call.ownAuthorization || !settings.origins.has(outgoing.url.origin)) return next(outgoing, call);
    const token = await currentToken(source, call);
    const { response, refused } = await attempt(outgoing, token, call);
    if (!refused || call.replayed) return response;
    if (!settings.replay || outgoing.oneShot !== undefined) {
      // This caller has its answer; whoever comes next gets another token.
      void successorOf(token, source, undefined);
      return response;
    }
    const successor = await successorOf(token, source, call.signal);
    if (call.signal?.aborted === true) {
      discard(response);
      throw call.signal.reason;
    }
    if (successor === undefined || successor.value === token.value) return response;
    call.replayed = true;
    discard(response);
    return (await attempt(outgoing, successor, call)).response;
  };
}

/** One try with a token, and what it's bound to; sent once more where the API asks for a nonce in the proof (RFC 9449 section 9), which says nothing of the token. */
async function sent(outgoing: Outgoing, token: AccessToken, settings: AuthorizationSettings, call: Call, next: Exchange): Promise<Response> {
  const { origin } = outgoing.url;
  const binding = IssuedToken.bindingOf(token);
  const authorizedRequest = withToken(outgoing, token, settings);
  if (binding === undefined) return next(authorizedRequest, call);
  const attempt = async (): Promise<Response> => next(await withBinding(authorizedRequest, token, binding, settings), call);
  const response = await attempt();
  const hasNonce = binding.learn?.(origin, response.headers) === true;
  if (!hasNonce || !settings.replay || outgoing.oneShot !== undefined || !asksForNonce(response)) return response;
  discard(response);
  const second = await attempt();
  binding.learn(origin, second.headers);
  return second;
}

function asksForNonce(response: Response): boolean {
  return response.status === 401 && challenges(response).some(({ error }) => error === 'use_dpop_nonce');
}

async function currentToken(source: TokenSource, { signal }: Call): Promise<AccessToken> {
  const token = await orAbort((async () => source.getToken(signal === undefined ? {} : { signal }))(), signal);
  if (isSendable(token)) return token;
  const expected = 'an object with the `value`, of printable characters, and the `type` Bearer; one of the type DPoP can only come from a token manager, which has its key';
  throw new OAuthError('invalid_configuration', `createFetch: getToken() of the source must give an access token: ${expected}`);
}

/** Nothing where none can be had: then the refusal is the answer, and why is an event of the token manager. */
async function successorOf(refused: AccessToken, source: TokenSource, signal: AbortSignal | undefined): Promise<AccessToken | undefined> {
  try {
    const successor = await orAbort((async () => source.getToken({ rejected: refused, ...(signal !== undefined && { signal }) }))(), signal);
    return isSendable(successor) ? successor : undefined;
  } catch {
    return undefined;
  }
}

/** A source may be anybody's. What a header can't hold must not reach it: its error would show the token. A `DPoP` token is never sent without a proof. */
function isSendable(token: unknown): token is AccessToken {
  if (typeof token !== 'object' || token === null) return false;
  const { value, type } = token as Partial<AccessToken>;
  return isTokenText(value) && (type === 'Bearer' || (type === 'DPoP' && IssuedToken.bindingOf(token as AccessToken)?.prove !== undefined));
}

function withToken(outgoing: Outgoing, { type, value }: AccessToken, { tokenHeader, tokenScheme }: AuthorizationSettings): Outgoing {
  const scheme = tokenScheme ?? (tokenHeader === 'authorization' ? type : undefined);
  return { ...outgoing, headers: [...outgoing.headers, [tokenHeader, scheme === undefined ? value : `${scheme} ${value}`]] };
}

/** A proof for this one request in the place of any other, and connections that present the certificate, unless somebody chose others. */
async function withBinding(outgoing: Outgoing, { value }: AccessToken, { prove, dispatcher }: TokenBinding, settings: AuthorizationSettings): Promise<Outgoing> {
  const { url, method, headers, init } = outgoing;
  const proof = await prove?.({ method, url, accessToken: value });
  const certified = settings.dispatcher === undefined && init.dispatcher === undefined ? await dispatcher?.() : undefined;
  return {
    ...outgoing,
    ...(proof !== undefined && { headers: [...headers.filter(([name]) => name !== 'dpop'), ['dpop', proof] as const] }),
    ...(certified && { init: { ...init, dispatcher: certified } }),
  };
}

const notTheToken = new Set(['insufficient_scope', 'insufficient_user_authentication', 'use_dpop_nonce', 'invalid_dpop_proof']);

/** A 401 may also say that the token is good, but not for this, or its proof isn't (RFC 6750 section 3.1, RFC 9470 section 3, RFC 9449 section 7.1): another of its kind wouldn't help. */
function isRefusal(response: Response, rejectedStatus: ReadonlySet<number>): boolean {
  if (!rejectedStatus.has(response.status)) return false;
  return response.status !== 401 || !challenges(response).some(({ error }) => notTheToken.has(error ?? ''));
}
