/**
 * One process of many that share their users' sessions: any of them answers any request, and any of them may go at any moment.
 *
 *   REDIS_URL=redis://redis.example.com:6379 ENCRYPTION_KEYS=... REPLICA=1 \
 *   APP_URL=https://app.example.com ISSUER=https://login.example.com CLIENT_ID=shop CLIENT_SECRET=... API_URL=https://api.example.com \
 *     npx tsx examples/many-replicas/replica.ts
 *
 * `ENCRYPTION_KEYS` are 32 random bytes each, in base64url, separated by commas; all processes have the same. `REFRESH_GRACE` is what docs/refresh-grace.md says of your
 * authorization server. `npm run demo:replicas` runs four of them with all that they need.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import KeyvRedis from '@keyv/redis';
import { createTokenManager } from 'grantkeeper';
import { redisLock } from 'grantkeeper/redis';
import { Keyv } from 'keyv';
import { createClient } from 'redis';
import { readSettings } from '../web-backend/settings.js';
import { createWebBackend } from '../web-backend/web-backend.js';

const log = (line: string): void => { console.log(line); };

async function main(): Promise<void> {
  const settings = readSettings(process.env);
  const { issuer, clientId, clientSecret, allowInsecureRequests } = settings;
  const { REDIS_URL: url, ENCRYPTION_KEYS: keys, REFRESH_GRACE: refreshGrace = '0', REPLICA: name = 'this one', PORT: port = '3000' } = process.env;
  if (!url || !keys) throw new Error('Needed in the environment: REDIS_URL and ENCRYPTION_KEYS');

  const redis = createClient({ url });
  // Without a listener it would end the process. It connects again by itself.
  redis.on('error', (error) => { log(`Redis: ${String(error)}`); });
  await redis.connect();

  const store = new Keyv(new KeyvRedis(url));
  const tokens = createTokenManager({
    issuer, clientId, clientSecret, allowInsecureRequests,
    store,
    encryptionKeys: keys.split(','),
    lock: redisLock(redis),
    refreshGrace: Number(refreshGrace),
    // A replica that dies over a refresh keeps the session's lock for 3 seconds more than that: less than the 10 seconds for which the web backend's calls wait.
    timeout: 5_000,
  });
  // The id of a session is what its user's cookie holds: it's for no log.
  tokens.on('refreshed', ({ generation }) => { log(`refreshed a session's token: generation ${generation}`); });
  tokens.on('session-ended', ({ reason }) => { log(`a session is over: ${reason}`); });
  tokens.on('store-failed', ({ operation, error }) => { log(`${operation} of the store failed: ${error.message}`); });

  const server = createServer(createWebBackend(settings, log, { name, tokens }).listener).listen(Number(port));
  await once(server, 'listening');
  log(`listening on port ${(server.address() as AddressInfo).port}`);

  /** Answers what has arrived; the connections to Redis are needed until then. */
  const stop = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    await closed;
    await tokens.close();
    await Promise.all([store.disconnect(), redis.close()]);
    log('stopped');
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
}

await main().catch((error: unknown) => {
  console.error(String(error));
  // Redis may be connected already.
  process.exit(1);
});
