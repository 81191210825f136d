/**
 * A web backend whose users sign in, until it is told to stop.
 *
 *   APP_URL=https://app.example.com ISSUER=https://login.example.com CLIENT_ID=shop CLIENT_SECRET=... API_URL=https://api.example.com \
 *     npx tsx examples/web-backend/main.ts
 *
 * It listens on `PORT`, 3000 without one, for a proxy that speaks https to browsers. `npm run demo:web` runs it with an authorization server and an API of its own.
 */
import { createServer } from 'node:http';
import { readSettings } from './settings.js';
import { createWebBackend } from './web-backend.js';

const log = (line: string): void => { console.log(`${new Date().toISOString()} ${line}`); };

try {
  const settings = readSettings(process.env);
  const { listener, tokens } = createWebBackend(settings, log);
  const server = createServer(listener).listen(Number(process.env['PORT'] ?? 3_000), () => { log(`listening for ${settings.appUrl}`); });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      server.close(() => { log('stopped'); });
      server.closeIdleConnections();
      void tokens.close();
    });
  }
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
}
