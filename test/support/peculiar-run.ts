import { clientSecretBasic, clientSecretPost, createTokenManager, none, type AccessToken, type Dialect, type TokenManagerOptions, type TokenRequest, type TokenSource } from 'grantkeeper';
import type { Answer } from './answers.js';
import { ManualClock } from './clock.js';
import { failureOf } from './failure.js';
import { startPeculiarServer, type PeculiarServer, type Stage, type Taken } from './peculiar-server.js';
import { followLogin } from './user-agent.js';
import { REDIRECT_URI } from './web-client.js';

export const SECRET: string = 'correct-horse-battery-staple';
const HOUR = 3_600_000;
const RANDOM = /^[\w-]{43}$/;

type Changes = Readonly<Record<string, string | RegExp | undefined>>;

function changed(usual: Readonly<Record<string, string | RegExp>>, changes: Changes): Taken['parameters'] {
  return Object.fromEntries(Object.entries({ ...usual, ...changes }).filter((entry): entry is [string, string | RegExp] => entry[1] !== undefined));
}

/** An authorization request by the RFCs, with the changes that a server wants. */
export function authorization(changes: Changes = {}): Taken {
  const usual = { response_type: 'code', client_id: 'app', redirect_uri: REDIRECT_URI, scope: 'a b', state: RANDOM, nonce: RANDOM, code_challenge: RANDOM, code_challenge_method: 'S256' };
  return { path: '/authorize', method: 'GET', format: 'query', parameters: changed(usual, changes) };
}

const usual: Record<'code' | 'refresh' | 'machine', Taken['parameters']> = {
  code: { grant_type: 'authorization_code', code: 'code-1', redirect_uri: REDIRECT_URI, code_verifier: RANDOM },
  refresh: { grant_type: 'refresh_token', refresh_token: 'rt-1' },
  machine: { grant_type: 'client_credentials', scope: 'a b' },
};

/** A token request by the RFCs, with Basic unless the client authenticates otherwise. */
export function asking(kind: 'code' | 'refresh' | 'machine', changes: Changes = {}, taken: Partial<Omit<Taken, 'parameters'>> = {}): Taken {
  return { path: '/token', basic: `app:${SECRET}`, ...taken, parameters: changed(usual[kind], changes) };
}

/** The members of the secret in a body. */
export const POST: { client_id: string; client_secret: string } = { client_id: 'app', client_secret: SECRET };

/** A run against one server: a login or a machine grant, a refresh, and one that is refused. */
export interface Peculiar {
  readonly dialect: (origin: string) => Dialect;
  /** @default 'basic' */
  readonly client?: 'basic' | 'post' | 'none';
  readonly options?: Partial<TokenManagerOptions>;
  readonly request?: TokenRequest;
  readonly login?: { readonly takes?: Taken; readonly comesBackWith?: (parameters: URLSearchParams, origin: string) => Record<string, string> };
  readonly token: Stage;
  readonly exchange?: Stage;
  readonly refresh?: Stage;
  /** How a refresh may be refused, each time of a session of its own. */
  readonly refusals?: readonly Answer[];
  readonly expected: Outcome;
}

export interface Seen {
  readonly value: string;
  readonly type: string;
  readonly scope?: string | undefined;
  /** Milliseconds. */
  readonly lifetime?: number | undefined;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface Outcome {
  readonly first: Partial<Seen>;
  readonly second?: Partial<Seen>;
  /** What each refusal comes to: the error's code, and the server's in the RFC's words. */
  readonly ends?: readonly string[];
}

/** The same run with this dialect instead. Rejects where the server takes something else than is sent. */
export async function runOf(peculiar: Peculiar, dialect: (origin: string) => Dialect = peculiar.dialect): Promise<Outcome> {
  const { refresh, refusals } = peculiar;
  const outcome = await tried(peculiar, dialect, async (source, clock, server) => {
    const first = seen(await source.getToken(), clock);
    if (refresh === undefined) return { first };
    server.expects(refresh);
    clock.advance(2 * HOUR);
    return { first, second: seen(await source.getToken(), clock) };
  });
  if (refresh === undefined || refusals === undefined) return outcome;
  const ends = await Promise.all(refusals.map(async (gives) => tried(peculiar, dialect, async (source, clock, server) => {
    server.expects({ takes: refresh.takes, gives });
    clock.advance(2 * HOUR);
    const { code, error, errorDescription } = await failureOf(source.getToken());
    return [code, error, errorDescription].filter(Boolean).join(' ');
  })));
  return { ...outcome, ends };
}

async function tried<T>(peculiar: Peculiar, dialect: (origin: string) => Dialect, then: (source: TokenSource, clock: ManualClock, server: PeculiarServer) => Promise<T>): Promise<T> {
  await using server = await startPeculiarServer();
  const clock = new ManualClock();
  const tokens = createTokenManager({
    server: { authorization_endpoint: `${server.origin}/authorize`, token_endpoint: `${server.origin}/token` },
    clientId: 'app',
    clientAuthentication: { basic: () => clientSecretBasic(SECRET), post: () => clientSecretPost(SECRET), none }[peculiar.client ?? 'basic'](),
    dialect: dialect(server.origin),
    clock,
    retry: { limit: 0 },
    allowInsecureRequests: true,
    ...peculiar.options,
  });
  try {
    return await then(peculiar.login === undefined ? machine(tokens, peculiar, server) : await loggedIn(tokens, peculiar, server), clock, server);
  } catch (thrown) {
    throw server.refusals.length === 0 ? thrown : new Error(server.refusals.join('; '), { cause: thrown });
  }
}

function machine(tokens: ReturnType<typeof createTokenManager>, { token, request }: Peculiar, server: PeculiarServer): TokenSource {
  server.expects(token);
  return tokens.clientCredentials(request ?? { scope: 'a b' });
}

async function loggedIn(tokens: ReturnType<typeof createTokenManager>, { login = {}, token, exchange, request }: Peculiar, server: PeculiarServer): Promise<TokenSource> {
  const { takes = authorization(), comesBackWith = comesBack } = login;
  server.expects({ takes, gives: ({ url }) => ({ status: 302, headers: { location: `${REDIRECT_URI}?${new URLSearchParams(comesBackWith(new URL(url, 'http://x').searchParams, server.origin)).toString()}` } }) }, token, ...(exchange === undefined ? [] : [exchange]));
  const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'a b', ...request });
  return (await tokens.completeLogin(await followLogin(url), transaction)).session;
}

function comesBack(parameters: URLSearchParams): Record<string, string> {
  return { code: 'code-1', state: parameters.get('state') ?? '' };
}

function seen({ value, type, scope, expiresAt, parameters }: AccessToken, clock: ManualClock): Seen {
  return { value, type, scope, lifetime: expiresAt === undefined ? undefined : expiresAt - clock.now(), parameters };
}

/** Every way to take one member out of a dialect, with its path. */
export function withoutEach(dialect: Dialect): [path: string, dialect: Dialect][] {
  const paths = (value: object, above: string[]): string[][] => Object.entries(value).flatMap(([name, inner]: [string, unknown]) => {
    const path = [...above, name];
    return [path, ...(typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? paths(inner, path) : [])];
  });
  return paths(dialect, []).map((path) => [path.join('.'), without(dialect, path)]);
}

function without<T extends object>(value: T, [name = '', ...rest]: readonly string[]): T {
  const copy = { ...value } as Record<string, unknown>;
  if (rest.length === 0) Reflect.deleteProperty(copy, name);
  else copy[name] = without(copy[name] as object, rest);
  return copy as T;
}
