import { randomBytes } from 'node:crypto';
import type { TokenCache } from '../cache/token-cache.js';
import { OAuthError } from '../errors.js';
import { canonicalTokenRequest } from '../grants/canonical-token-request.js';
import { orAbort } from '../deadline.js';
import { cacheKey, hashedName } from '../tokens/cache-key.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import type { TokenSource } from '../tokens/token-source.js';
import { invalid, text, typeName } from '../validation.js';
import { checkEndOptions, signOut } from './sign-out.js';
import { refresh, type RotationContext, type SessionTokenRequest } from './rotation.js';
import { SessionEntry, type SessionEntryContext } from './session-entry.js';
import type { SessionRecord } from './session-record.js';
import type { Session, SessionInfo } from './session.js';

export interface SessionsContext extends RotationContext, SessionEntryContext {
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
  /** @throws OAuthError `invalid_configuration` */
  session(id: string): Session;
  /** A new one, durable when it resolves. Rejects with `store_failed`. */
  begin(session: NewSession): Promise<Session>;
}

/** Requests of a session's own tokens: what the login asked for. */
const own: CanonicalTokenRequest = { scope: [], resource: [], audience: undefined, parameters: {} };

export function createSessions(context: SessionsContext): Sessions {
  const { identity, cache, maxEntries, idle, clock, events, report } = context;
  const entries = new Map<string, SessionEntry>();
  const nameOf = (id: string): string => `grantkeeper:session:${hashedName(identity.server, identity.clientId, id)}`;

  /** The one entry of a session: two would not know what the other has in hand. The least recently used go, unless something of them is under way. */
  const entryOf = (id: string): SessionEntry => {
    const entry = entries.get(id) ?? new SessionEntry(id, nameOf(id), context);
    entries.delete(id);
    entries.set(id, entry);
    for (const [oldest, { isPinned }] of entries) {
      if (entries.size <= maxEntries) break;
      if (!isPinned) entries.delete(oldest);
    }
    return entry;
  };

  events.on('session-ended', ({ sessionId }) => { cache.forget(nameOf(sessionId)); });

  const sourceOf = (id: string, wanted: SessionTokenRequest): TokenSource => {
    const source = cache.source({
      key: `${nameOf(id)}:${wanted.name}`,
      store: {
        get: async () => (await entryOf(id).current()).tokens[wanted.name],
        // The rotation has written it, before anyone saw it.
        set: async () => Promise.resolve(),
      },
      grant: async (call) => {
        const entry = entryOf(id);
        return orAbort(refresh(entry, wanted, call, context), entry.endSignal);
      },
    });
    return Object.freeze<TokenSource>({
      async getToken(options) {
        options?.signal?.throwIfAborted();
        const entry = entryOf(id);
        entry.throwIfEnded();
        if (entry.hasUnsaved) await entry.flush();
        if (entry.untouchedFor > idle / 4) void entry.touch();
        return source.getToken(options);
      },
    });
  };

  const session = (id: string): Session => {
    if (!text.accepts(id)) throw invalid(`session: the id must be the \`id\` of a session, a non-empty string; received ${typeName(id)}`);
    return Object.freeze<Session>({
      id,
      ...sourceOf(id, { name: '', request: own }),
      info: async () => infoOf(entryOf(id)),
      forResource(request) {
        const canonical = canonicalTokenRequest('forResource', request);
        return sourceOf(id, { name: cacheKey({ ...identity, clientAuthentication: '', grant: 'refresh_token', request: canonical }), request: canonical });
      },
      async end(options = {}) {
        checkEndOptions(options);
        return signOut(await entryOf(id).endNow(), options, context);
      },
    });
  };

  return {
    session,
    async begin(fields) {
      const id = randomBytes(32).toString('base64url');
      const now = clock.now();
      const record: SessionRecord = { ...fields, fence: 0, createdAt: now, writtenAt: now };
      const save = async (): Promise<void> => context.store.save(nameOf(id), record);
      try {
        await save().catch(save);
      } catch (thrown) {
        report('set', thrown);
        throw thrown;
      }
      return session(id);
    },
  };
}

async function infoOf(entry: SessionEntry): Promise<SessionInfo | undefined> {
  try {
    const { claims, scope, createdAt, refreshedAt } = await entry.current();
    return Object.freeze<SessionInfo>({ id: entry.id, ...(claims && { claims }), ...(scope !== undefined && { scope }), createdAt, ...(refreshedAt !== undefined && { refreshedAt }) });
  } catch (thrown) {
    if (thrown instanceof OAuthError && thrown.code === 'reauthorization_required') return undefined;
    throw thrown;
  }
}
