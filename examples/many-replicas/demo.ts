/** Four replicas of the web backend on one Redis, with everything that they need, on this machine only: `npm run demo:replicas`. */
import { createInterface } from 'node:readline';
import type { ReplicaProcess } from './replica-process.js';
import { startReplicas, type Replicas } from './start-replicas.js';

const log = (line: string): void => { console.log(`${new Date().toTimeString().slice(0, 8)} ${line}`); };

let isOver = false;
const starting = startReplicas({ port: Number(process.env['PORT'] ?? 0), accessTokenTtl: 30, log });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    isOver = true;
    void starting.then(async (demo) => demo.close(), () => undefined);
  });
}

try {
  const demo = await starting;
  introduce(demo);
  const { provider } = demo.authorizationServer;
  provider.on('grant.success', ({ oidc }) => { log(`authorization server: a token by ${String(oidc.params?.['grant_type'])}`); });
  provider.on('grant.error', (_context, error) => { log(`authorization server: no token: ${error.message}`); });
  if (process.stdin.isTTY) listenToKeys(demo.replicas);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

function introduce({ url, replicas, redisUrl, authorizationServer }: Replicas): void {
  console.log(`
  ${url}

  Open it in Chromium or Firefox (Safari keeps no Secure cookies of http), and sign in with any name. Each request goes to the next of ${replicas.length}
  replicas, which share ${redisUrl}. Access tokens live 30 seconds, and every refresh replaces the refresh token: press "Call it again"
  now and then. The authorization server is at ${authorizationServer.issuer}.

  ${process.stdin.isTTY ? `Enter kills a replica with SIGKILL and starts it anew, 1 to ${replicas.length} and Enter a certain one: nobody is signed out. ` : ''}Ctrl-C ends it all.
`);
}

function listenToKeys(replicas: readonly ReplicaProcess[]): void {
  let last = 0;
  createInterface({ input: process.stdin }).on('line', (line) => {
    last = line.trim() === '' ? last % replicas.length + 1 : Number(line);
    const replica = replicas[last - 1];
    if (replica === undefined) {
      last = 0;
      log(`there are replicas 1 to ${replicas.length}`);
    } else if (replica.port !== undefined) void restart(replica);
  });
  process.stdin.unref();
}

async function restart(replica: ReplicaProcess): Promise<void> {
  try {
    await replica.end('SIGKILL');
    if (!isOver) await replica.start();
  } catch (error) {
    log(String(error));
  }
}
