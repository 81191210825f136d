import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Provider, type Configuration } from 'oidc-provider';
import { listen, listenToDirector, report } from './child.js';
import type { AuthorizationServerConfig } from './protocol.js';

function configuration(config: AuthorizationServerConfig): Configuration {
  return {
    clients: [{
      client_id: config.clientId,
      client_secret: config.clientSecret,
      grant_types: ['client_credentials'],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
      redirect_uris: [],
      scope: config.scope,
    }],
    scopes: [config.scope],
    jwks: { keys: [config.signingKey] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => config.audience,
        getResourceServerInfo: () => ({
          scope: config.scope,
          audience: config.audience,
          accessTokenFormat: 'jwt',
          accessTokenTTL: config.tokenLifetimeSeconds,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  };
}

/** Reports every request: what the demo says about token requests is counted here, not guessed from the client. */
async function start(config: AuthorizationServerConfig): Promise<void> {
  const server = createServer();
  const url = await listen(server, config.port);
  const handle = new Provider(url, configuration(config)).callback();

  server.on('request', (request, response) => {
    const { method = '', url: path = '' } = request;
    report({ type: 'request-received', method, path });
    response.once('finish', () => { report({ type: 'request-answered', method, path, status: response.statusCode }); });
    const delay = path === '/token' ? config.tokenEndpointDelayMs : 0;
    void sleep(delay).then(() => handle(request, response));
  });
  report({ type: 'listening', url });
}

listenToDirector((command) => {
  if (command.type === 'start') void start(command.config as AuthorizationServerConfig);
});
