import { randomBytes } from 'node:crypto';
import type { TokenCache } from '../cache/token-cache.js';
import { orAbort, waitFor } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { canonicalTokenRequest } from '../grants/canonical-token-request.js';
import { revokeQuietly } from '../server/revocation.js';
import { cacheKey, hashedName } from '../tokens/cache-key.js';
import { emptyRequest } from '../tokens/token-request.js';
import type { TokenSource } from '../tokens/token-source.js';
import { invalid, text, typeName } from '../validation.js';
import { hasExpired } from './judgement.js';
import { refresh } from './rotation.js';
import type { RotationContext, SessionTokenRequest } from './rotation-context.js';
import type { SessionEntry, SessionEntryContext } from './session-entry.js';
import type { SessionRecord } from './session-record.js';
import { tokenOf } from './session-key.js';
import { SessionEntries } from './session-entries.js';
import { SessionRegistry } from './session-registry.js';
import type { Session, SessionInfo } from './session.js';
import { checkEndOptions, signOut } from './sign-out.js';

export interface SessionsContext extends RotationContext, Omit<SessionEntryContext, 'forgetTokens' | 'revoke'> {
  /** Whose sessions these are: another client or server can't open them. */
  readonly identity: { readonly server: string; readonly clientId: string };
  readonly cache: TokenCache;
  /** The most sessions that are known in memory at a time, those with something under way apart. */
  readonly maxEntries: number;
  /** Milliseconds after which a store forgets a session that isn't written. */
  readonly idle: number;
}

export type NewSession = Omit<SessionRecord, 'fence' | 'createdAt' | 'writtenAt'>;

export interface Sessions {
  /** Writes what could not be written before, for as long as that takes; until then the process stays alive. */
  flush(signal: AbortSignal): Promise<void>;
  /** @throws OAuthError `invalid_configuration` */
  session(id: string): Session;
  /** A new one, durable when it resolves. Rejects with `store_failed`. */
  begin(session: NewSession): Promise<Session>;
}

export function createSessions(context: SessionsContext): Sessions {
  const { identity, cache, idle, clock, report } = context;
  const nameOf = (id: string): string => `grantkeeper:session:${hashedName(identity.server, identity.clientId, id)}`;
  const forgetTokens = (name: string): void => { cache.forget(name); };
  const revoke = (refreshToken: string | undefined): void => void revokeQuietly({ refreshToken }, context);
  const registry = new SessionRegistry({ ...context, nameOf, forgetTokens, revoke });

  const sourceOf = (id: string, wanted: SessionTokenRequest): TokenSource => {
    // Made when it's used: an id that somebody made up takes no place in the cache.
    const source = (): TokenSource => cache.source({
      key: `${nameOf(id)}:${wanted.name}`,
      find: async () => tokenOf(await registry.entryOf(id).current(), wanted.name, context),
      grant: async (call) => {
        const entry = registry.entryOf(id);
        return orAbort(registry.using(entry, async () => refresh(entry, wanted, call, context)), entry.endSignal);
      },
    });
    return Object.freeze<TokenSource>({
      async getToken(options) {
        const signal = options?.signal;
        signal?.throwIfAborted();
        const entry = registry.entryOf(id);
        // A store that still fails keeps nobody waiting.
        if (entry.hasUnsaved) void entry.flush();
        entry.throwIfOver();
        // A token in memory may outlive its session: then the store is asked.
        if (entry.hasExpired) forgetTokens(nameOf(id));
        const token = await source().getToken(options);
        void entry.stay(idle / 4).then((isThere) => { if (!isThere) forgetTokens(nameOf(id)); });
        return token;
      },
    });
  };

  const session = (id: string): Session => {
    if (!text.accepts(id)) throw invalid(`session: the id must be the \`id\` of a session, a non-empty string; received ${typeName(id)}`);
    return Object.freeze<Session>({
      id,
      ...sourceOf(id, { name: '', request: emptyRequest }),
      info: async () => waitFor(infoOf(registry.entryOf(id), clock.now())),
      forResource(request) {
        const canonical = canonicalTokenRequest('forResource', request);
        return sourceOf(id, { name: cacheKey({ ...identity, clientAuthentication: '', bindings: [], dialect: [], subject: [], grant: 'refresh_token', request: canonical }), request: canonical });
      },
      async end(options = {}) {
        checkEndOptions(options);
        return waitFor((async () => signOut(await registry.entryOf(id).endNow(), options, context))());
      },
    });
  };

  return {
    session,
    flush: async (signal) => registry.flush(signal),
    async begin(fields) {
      const id = randomBytes(32).toString('base64url');
      const now = clock.now();
      try {
        await new SessionEntries(nameOf(id), context.store).begin({ ...fields, fence: 0, createdAt: now, writtenAt: now });
      } catch (thrown) {
        report('set', thrown);
        throw thrown;
      }
      return session(id);
    },
  };
}

async function infoOf(entry: SessionEntry, now: number): Promise<SessionInfo | undefined> {
  try {
    const { claims, scope, createdAt, refreshedAt, refreshToken, tokens } = await entry.current();
    // Without a refresh token it lasts as long as its access token.
    if (refreshToken === undefined && Object.values(tokens).every((token) => hasExpired(token, now))) return undefined;
    return Object.freeze<SessionInfo>({ id: entry.id, ...(claims && { claims }), ...(scope !== undefined && { scope }), createdAt, ...(refreshedAt !== undefined && { refreshedAt }) });
  } catch (thrown) {
    if (thrown instanceof OAuthError && thrown.code === 'reauthorization_required') return undefined;
    throw thrown;
  }
}
