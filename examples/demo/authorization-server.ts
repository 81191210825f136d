import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAuthorizationServer, type AuthorizationServer } from '../shared-servers/authorization-server.js';
import { loadProvider } from '../shared-servers/load-provider.js';
import { listenToDirector, report } from './child.js';
import type { AuthorizationServerConfig } from './protocol.js';

let provider: AuthorizationServer['provider'] | undefined;
/** Of the login that got a refresh token last. */
let grantId: string | undefined;
let losesNextAnswer = false;

/** Reports every request: what the demo says about token requests is counted here, not guessed from the client. */
async function start({ tokenLifetimeSeconds, tokenEndpointDelayMs, ...config }: AuthorizationServerConfig): Promise<void> {
  const server = await startAuthorizationServer({
    ...config,
    accessTokenTtl: tokenLifetimeSeconds,
    async onRequest(request, response) {
      const { method = '', url = '' } = request;
      const path = pathOf(url);
      report({ type: 'request-received', method, path });
      response.once('finish', () => { report({ type: 'request-answered', method, path, status: response.statusCode }); });
      if (path !== '/token') return;
      if (losesNextAnswer) loseAnswer(request, response);
      await sleep(tokenEndpointDelayMs);
    },
  });
  ({ provider } = server);
  provider.on('refresh_token.saved', (saved) => { ({ grantId } = saved); });
  provider.on('refresh_token.consumed', () => { report({ type: 'refresh-token-replaced' }); });
  report({ type: 'listening', url: server.issuer });
}

/** Without the query, and without the ids of interactions. */
function pathOf(url: string): string {
  return url.replace(/\?.*/, '').replace(/^(\/\w+)\/[\w-]{20,}$/, '$1/...');
}

/** Everything is done as ever, and at the moment when the answer would leave the connection breaks. */
function loseAnswer({ socket }: IncomingMessage, response: ServerResponse): void {
  losesNextAnswer = false;
  response.end = () => {
    socket.destroy();
    report({ type: 'answer-lost' });
    return response;
  };
}

/** What an administrator does: the user's consent is gone, and with it what the refresh token stood for. */
async function endGrant(): Promise<void> {
  const grant = await provider?.Grant.find(grantId ?? '');
  await grant?.destroy();
  report({ type: 'grant-ended' });
}

// Now, so that a replacement which was loaded ahead starts at once.
await loadProvider();
listenToDirector({
  start({ config }) { void start(config as AuthorizationServerConfig); },
  'lose-next-answer'() {
    losesNextAnswer = true;
    report({ type: 'loses-next-answer' });
  },
  'end-grant'() { void endGrant(); },
});
