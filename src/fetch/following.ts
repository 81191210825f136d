import { discard } from '../transport/transport.js';
import type { FetchSettings } from './fetch-options.js';
import type { HeaderPair, Outgoing } from './outgoing.js';
import type { Exchange } from './exchange.js';

const mostRedirects = 20;
const redirectStatus = new Set([301, 302, 303, 307, 308]);

/** What the platform takes off a request that leaves its origin (Fetch standard, "HTTP-redirect fetch", and undici's additions). */
const crossOriginHeaders = new Set(['authorization', 'proxy-authorization', 'cookie', 'host']);
const bodyHeaders = new Set(['content-encoding', 'content-language', 'content-location', 'content-type', 'content-length']);

type RedirectSettings = Pick<FetchSettings, 'origins' | 'tokenHeader' | 'secretHeaders'>;

/**
 * Follows redirects as the Fetch standard does, one request at a time, so that each goes through the steps that put on a token, or don't.
 * With `redirect: 'manual'` and `'error'` there is nothing to follow.
 */
export function following(settings: RedirectSettings, next: Exchange): Exchange {
  return async (outgoing, call) => {
    let current = outgoing;
    for (let redirects = 0; ; redirects += 1) {
      const response = await next(current, call);
      const location = response.headers.get('location');
      if (current.redirect !== 'follow' || !redirectStatus.has(response.status) || location === null) return redirects === 0 ? response : markRedirected(response);
      discard(response);
      if (current.oneShot !== undefined) throw fetchFailed('unexpected redirect');
      if (redirects === mostRedirects) throw fetchFailed('redirect count exceeded');
      current = redirectedTo(target(location, current.url), response, current, settings);
    }
  };
}

/** @throws TypeError for what must not be followed: no URL, another scheme than http and https, down from https, or with user and password */
function target(header: string, from: URL): URL {
  // Its bytes are UTF-8; a header shows each as a character.
  const location = /[\u0080-\u00ff]/.test(header) ? Buffer.from(header, 'latin1').toString('utf8') : header;
  if (!URL.canParse(location, from.href)) throw fetchFailed('the redirect has an invalid Location');
  const url = new URL(location, from);
  if (url.protocol !== 'https:' && (url.protocol !== 'http:' || from.protocol === 'https:')) throw fetchFailed(`the redirect leads from ${from.protocol} to ${url.protocol}`);
  if (url.username !== '' || url.password !== '') throw fetchFailed('the redirect has user and password in its Location');
  if (url.hash === '') url.hash = from.hash;
  return url;
}

function redirectedTo(url: URL, { status, headers }: Response, from: Outgoing, { origins, tokenHeader, secretHeaders }: RedirectSettings): Outgoing {
  const becomesGet = status === 303 ? from.method !== 'GET' && from.method !== 'HEAD' : (status === 301 || status === 302) && from.method === 'POST';
  const isCrossOrigin = url.origin !== from.url.origin;
  const isSecret = (name: string): boolean => name === tokenHeader || name === 'dpop' || secretHeaders.has(name);
  const stays = ([name]: HeaderPair): boolean =>
    !(becomesGet && bodyHeaders.has(name)) && !(isCrossOrigin && crossOriginHeaders.has(name)) && (origins.has(url.origin) || !isSecret(name));
  const referrerPolicy = readReferrerPolicy(headers);
  return {
    ...from,
    url,
    headers: from.headers.filter(stays),
    ...(becomesGet && { method: 'GET', body: undefined }),
    ...(referrerPolicy && { init: { ...from.init, referrerPolicy } }),
  };
}

const referrerPolicies = ['no-referrer', 'no-referrer-when-downgrade', 'same-origin', 'origin', 'strict-origin', 'origin-when-cross-origin', 'strict-origin-when-cross-origin', 'unsafe-url'] as const;

/** The last policy that is known counts (Referrer Policy section 8.1). */
function readReferrerPolicy(headers: Headers): (typeof referrerPolicies)[number] | undefined {
  const named = headers.get('referrer-policy')?.split(',').map((policy) => policy.trim().toLowerCase()) ?? [];
  return referrerPolicies.find((known) => known === named.findLast((policy) => referrerPolicies.some((one) => one === policy)));
}

/** `redirected` as the platform would have it, on clones too: each hop of ours is a fetch of its own, and only the last is seen. */
function markRedirected(response: Response): Response {
  if (!Object.isExtensible(response)) return response;
  const clone = response.clone.bind(response);
  return Object.defineProperties(response, {
    redirected: { value: true },
    clone: { value: () => markRedirected(clone()) },
  });
}

/** A network error as the platform's fetch reports it. */
function fetchFailed(reason: string): TypeError {
  return new TypeError('fetch failed', { cause: new Error(reason) });
}
