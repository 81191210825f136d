import { OAuthError } from '../errors.js';
import { answerShape } from './answer-shape.js';
import type { Exchange } from './authenticated-request.js';
import type { Identity, ReceivedTokens, TokenResponse } from './authorization-server.js';
import type { ConnectedClient } from './connected-client.js';
import type { Kept } from './dialect/template.js';
import { checkIdToken, idTokenRefused, type IdTokenExpectation } from './id-token.js';
import type { Jwks } from './jwks.js';
import { endpointOf } from './metadata.js';
import { readMembers } from './token-answer.js';
import { judgeToken } from './token-judgement.js';

export interface ReceivingContext {
  readonly client: ConnectedClient;
  readonly jwks: Jwks;
}

export interface TokenEndpointExchange extends Exchange {
  /** Whether the tokens have to be bound to a key. */
  readonly isBound: boolean;
  /** What the callback left, with the answer to the login's code: later ones are added to what that gave. */
  readonly kept: Kept;
}

/** The answer of a token endpoint that is no error. Only one that can't be read at all is refused here. */
export function receivedTokens({ answer, sentAt, secrets, isBound, kept }: TokenEndpointExchange, { client, jwks }: ReceivingContext): ReceivedTokens {
  const { status, members } = answer;
  if (members === undefined) {
    throw new OAuthError('invalid_response', `The token endpoint answered with HTTP ${status} and a body that is neither a JSON object nor a form; if this server always answers so, read it in \`dialect.parseTokenResponse\``, { status });
  }
  const idToken = members['id_token'] === '' ? undefined : members['id_token'] ?? undefined;
  return {
    refreshToken: () => textOf(members['refresh_token']),
    accessToken: () => textOf(members['access_token']),
    hasIdToken: idToken !== undefined,
    judged(): TokenResponse {
      const read = readMembers(members, secrets);
      return {
        ...judgeToken(read, status, () => answerShape(members, [...secrets, ...tokensOf(members)]), isBound),
        lifetime: read.expiresIn === undefined ? undefined : read.expiresIn * 1_000,
        scope: read.scope,
        parameters: { ...withoutTokens(kept, members), ...read.parameters },
        sentAt,
      };
    },
    async identity(expected, signal) {
      return identity(idToken, expected, { client, jwks }, signal);
    },
  };
}

async function identity(idToken: unknown, expected: IdTokenExpectation, { client, jwks }: ReceivingContext, signal: AbortSignal): Promise<Identity | undefined> {
  const { clientId, metadata, clock, allowInsecureRequests } = client;
  const isRequired = 'isRequired' in expected && expected.isRequired;
  if (idToken === undefined && !isRequired) return undefined;
  const keys = endpointOf(metadata, 'jwks_uri', allowInsecureRequests);
  // It was not asked for, and nobody will look at it.
  if (!isRequired && (keys === undefined || metadata.issuer === undefined)) return undefined;
  if (idToken === undefined) throw idTokenRefused('the token endpoint answered without one, though `openid` was asked for');
  if (typeof idToken !== 'string') throw idTokenRefused('it is not a text');
  if (keys === undefined) throw idTokenRefused('the keys that sign it are not known: pass `jwks_uri` in the option `server`');
  return { idToken, claims: await checkIdToken(idToken, expected, { metadata, clientId, now: clock.now(), keyOf: jwks.keyFinder(keys, signal) }) };
}

/** A callback can be made up by anyone: what it left is no way to get a token seen. */
function withoutTokens(kept: Kept, members: Readonly<Record<string, unknown>>): Kept {
  const tokens = tokensOf(members);
  return Object.fromEntries(Object.entries(kept).filter(([, value]) => !tokens.includes(value)));
}

function tokensOf(members: Readonly<Record<string, unknown>>): string[] {
  return ['access_token', 'refresh_token', 'id_token'].flatMap((name) => textOf(members[name]) ?? []);
}

/** An empty one is none (RFC 6749 appendix A.17 allows no empty refresh token). */
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
