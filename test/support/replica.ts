/** One process of many: it does as its argument says, once its standard input says `go`, and prints what came of it. */
import { createInterface } from 'node:readline';
import { createTokenManager, OAuthError, type AuthorizationServerMetadata, type KeyvLike, type Lock, type TokenSource } from 'grantkeeper';
import { CLIENT_SECRET } from './machine-client.js';
import { openBackend, type BackendKind } from './shared-backend.js';

export interface ReplicaOrders {
  readonly kind: BackendKind;
  readonly url: string;
  readonly metadata: AuthorizationServerMetadata;
  readonly encryptionKeys: string[];
  readonly timeout: number;
  readonly refreshGrace: number;
  /** Of the session whose token is asked for; without it, it's a machine's. */
  readonly sessionId?: string;
  /** How many ask at once. */
  readonly callers: number;
  /** After so many answers of the store and the lock the process is no more. */
  readonly diesAfterCall?: number;
}

export interface ReplicaReport {
  /** The different tokens that the callers got. */
  readonly tokens: readonly string[];
  readonly failures: readonly string[];
  /** Of the store and the lock. */
  readonly calls: number;
}

const orders = JSON.parse(process.argv[2] ?? '') as ReplicaOrders;
const backend = await openBackend(orders.kind, orders.url);
let calls = 0;

/** Counts the answers, and dies upon one of them: whoever called doesn't learn of it any more. */
async function counted<T>(answer: Promise<T>): Promise<T> {
  const value = await answer;
  calls += 1;
  if (calls === orders.diesAfterCall) process.kill(process.pid, 'SIGKILL');
  return value;
}

const store: KeyvLike = {
  get: async (key) => counted(backend.store.get(key)),
  set: async (key, value, ttl) => counted(backend.store.set(key, value, ttl)),
  delete: async (key) => counted(backend.store.delete(key)),
};
const lock: Lock = {
  acquire: async (...call) => counted(backend.lock.acquire(...call)),
  renew: async (...call) => counted(backend.lock.renew(...call)),
  release: async (...call) => counted(backend.lock.release(...call)),
};

const { metadata, encryptionKeys, timeout, refreshGrace, sessionId, callers } = orders;
const tokens = createTokenManager({ server: metadata, clientId: 'app', clientSecret: CLIENT_SECRET, store, lock, encryptionKeys, timeout, refreshGrace, allowInsecureRequests: true });
const source: TokenSource = sessionId === undefined ? tokens.clientCredentials() : tokens.session(sessionId);

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) if (line === 'go') break;
const answers = await Promise.allSettled(Array.from({ length: callers }, async () => source.getToken()));
await tokens.close();
const report: ReplicaReport = {
  tokens: [...new Set(answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.value] : [])))],
  failures: [...new Set(answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason instanceof OAuthError ? answer.reason.code : String(answer.reason)] : [])))],
  calls,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
await backend.close();
process.exit(0);
