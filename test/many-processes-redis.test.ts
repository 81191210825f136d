import { expect, test } from 'vitest';
import { describeManyProcesses } from './support/many-processes.js';
import { describeWithRedis, startRedis } from './support/redis-server.js';
import { openBackend } from './support/shared-backend.js';
import { startAuthorizationServer } from './support/authorization-server.js';
import { failureOf } from './support/failure.js';
import { signIn, webClient } from './support/web-client.js';

describeWithRedis('many processes on one Redis', () => {
  describeManyProcesses('redis', startRedis);

  test('M6 restarted empty: sessions are gone and said to be, new logins work, machine tokens never stopped', { timeout: 30_000 }, async () => {
    await using redis = await startRedis();
    await using server = await startAuthorizationServer();
    const { store, lock, close } = await openBackend('redis', redis.url);
    const { tokens, clock } = webClient(server, { store, lock, encryptionKeys: ['A'.repeat(43)] });
    const { session } = await signIn({ tokens });
    await redis.restart();
    clock.advance(3_600_000);
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ type: 'Bearer' });
    expect(await failureOf(session.getToken())).toMatchObject({ code: 'reauthorization_required' });
    expect((await (await signIn({ tokens })).session.getToken()).type).toBe('Bearer');
    await close();
  });
});
