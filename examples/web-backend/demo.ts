/** The web backend with everything that it needs, on this machine only: `npm run demo:web`. */
import { startDemo } from './start-demo.js';

const demo = await startDemo({ port: Number(process.env['PORT'] ?? 0), accessTokenTtl: 30, log: (line) => { console.log(line); } });

console.log(`
  ${demo.url}

  Open it in Chromium or Firefox (Safari keeps no Secure cookies of http), and sign in with any name. Access tokens live
  30 seconds, and every refresh replaces the refresh token: press "Call it again" now and then, in two tabs if you like.
  The authorization server is at ${demo.authorizationServer.issuer}. Ctrl-C ends it all.
`);

demo.authorizationServer.provider.on('grant.success', ({ oidc }) => { console.log(`authorization server: a token by ${String(oidc.params?.['grant_type'])}`); });
demo.authorizationServer.provider.on('grant.error', (_context, error) => { console.log(`authorization server: no token: ${error.message}`); });

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void demo.close());
