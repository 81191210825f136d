/** A replica of a web backend: it asks for the tokens of its users' sessions, over and over, and tells the coordinator what it got. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { createTokenManager, OAuthError, type KeyvLike, type Lock, type TokenManager } from 'grantkeeper';
import type { Span } from './journal.js';
import { openStore } from './open-store.js';
import type { Command, Report, SignedIn, WorkerConfig } from './protocol.js';
import { CLIENT_ID, TIMEOUT_MS } from './settings.js';

const config = JSON.parse(process.argv[2] ?? '') as WorkerConfig;

const REDIRECT_URI = 'https://app.example.com/callback';
const TALLY_MS = 250;
const TICK_MS = 50;
/** A tick that comes later than that was kept from coming. */
const STALL_MS = 150;
/** Calls that waited for less are not worth a line in the tally. */
const NOTABLE_WAIT_MS = 100;

/** Whose token is being asked for: a lock knows its name only. */
const asking = new AsyncLocalStorage<string>();
const managers = new Map<number, TokenManager>();
const inUse = new Set<string>();
const tally = { calls: 0, failures: {} as Record<string, number>, waits: [] as Span[] };

const { store, lock } = await openStore(config.store);

function report(message: Report): void {
  process.send?.(message);
}

/** One for each grace: it's an option of the manager. */
function managerFor(graceMs: number): TokenManager {
  const known = managers.get(graceMs);
  if (known !== undefined) return known;
  const { authorizationServer, process: name, encryptionKey } = config;
  const manager = createTokenManager({
    server: { issuer: authorizationServer, authorization_endpoint: `${authorizationServer}/authorize`, token_endpoint: `${authorizationServer}/${name}/token` },
    clientId: CLIENT_ID,
    clientSecret: 'secret',
    store: watchedStore,
    lock: watched(lock),
    encryptionKeys: [encryptionKey],
    refreshGrace: graceMs,
    timeout: TIMEOUT_MS,
    allowInsecureRequests: true,
  });
  managers.set(graceMs, manager);
  return manager;
}

/** What the library stores is told; how it's told to throw reaches the Keyv itself. */
const watchedStore: KeyvLike = new Proxy(store, {
  get(target, name) {
    const value: unknown = Reflect.get(target, name);
    if (typeof value !== 'function') return value;
    if (name !== 'set') return value.bind(target) as unknown;
    return async (...parameters: Parameters<KeyvLike['set']>) => {
      const answer = await target.set(...parameters);
      const user = asking.getStore();
      if (user !== undefined) report({ type: 'stored', user, at: Date.now() });
      return answer;
    };
  },
});

function watched(inner: Lock): Lock {
  const tell = (type: 'leased' | 'released', at: number): void => {
    const user = asking.getStore();
    if (user !== undefined) report({ type, user, at });
  };
  return {
    async acquire(name, owner, leaseMs, fenceAtLeast) {
      const at = Date.now();
      const answer = await inner.acquire(name, owner, leaseMs, fenceAtLeast);
      if ('fence' in answer) tell('leased', at);
      return answer;
    },
    async renew(name, owner, leaseMs) {
      const at = Date.now();
      const isOurs = await inner.renew(name, owner, leaseMs);
      if (isOurs) tell('leased', at);
      return isOurs;
    },
    async release(name, owner) {
      tell('released', Date.now());
      await inner.release(name, owner);
    },
  };
}

async function signIn(user: string, graceMs: number): Promise<void> {
  try {
    const manager = managerFor(graceMs);
    const { url, transaction } = await manager.startLogin({ redirectUri: REDIRECT_URI, scope: 'offline_access', loginHint: user });
    const { headers } = await fetch(url, { redirect: 'manual' });
    const { session } = await manager.completeLogin(headers.get('location') ?? '', transaction);
    report({ type: 'signed in', user, session: session.id, graceMs });
  } catch (thrown) {
    report({ type: 'not signed in', user, message: String(thrown) });
  }
}

async function use({ user, session, graceMs }: SignedIn): Promise<void> {
  const source = managerFor(graceMs).session(session);
  let last = '';
  inUse.add(user);
  while (inUse.has(user)) {
    const from = Date.now();
    try {
      const { value } = await asking.run(user, async () => source.getToken());
      if (value !== last) report({ type: 'handed out', user, accessToken: value, at: Date.now() });
      last = value;
      note(from);
      await delay(50 + Math.random() * 400);
    } catch (thrown) {
      note(from, codeOf(thrown));
      if (thrown instanceof OAuthError && thrown.code === 'reauthorization_required') {
        report({ type: 'over', user, ambiguous: thrown.ambiguous === true, message: thrown.message, at: Date.now() });
        return;
      }
      await delay(250 + Math.random() * 500);
    }
  }
}

function note(from: number, failure?: string): void {
  const to = Date.now();
  tally.calls += 1;
  if (failure !== undefined) tally.failures[failure] = (tally.failures[failure] ?? 0) + 1;
  if (to - from >= NOTABLE_WAIT_MS) tally.waits.push({ from, to });
}

function codeOf(thrown: unknown): string {
  return thrown instanceof OAuthError ? thrown.code : `no OAuthError: ${String(thrown)}`;
}

process.on('message', (message) => {
  const command = message as Command;
  switch (command.type) {
    case 'sign in':
      void signIn(command.user, command.graceMs);
      break;
    case 'use':
      for (const session of command.sessions) void use(session);
      break;
    case 'drop':
      inUse.delete(command.user);
  }
});
// Ctrl-C reaches the whole process group; it's the coordinator who ends its workers.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => { process.exit(); });
setInterval(() => {
  if (tally.calls === 0) return;
  report({ type: 'tally', ...tally });
  Object.assign(tally, { calls: 0, failures: {}, waits: [] });
}, TALLY_MS);
let ticked = Date.now();
setInterval(() => {
  const from = ticked;
  ticked = Date.now();
  if (ticked - from > STALL_MS) report({ type: 'stalled', from, to: ticked });
}, TICK_MS);
report({ type: 'ready' });
