import { spawn } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { JWK } from 'jose';
import { freePort } from '../shared-servers/free-port.js';

export interface GatewayOptions {
  issuer: string;
  /** Where the authorization server publishes its keys; the first is the one that tokens are signed with. */
  jwksUri: string;
  upstreamPort: number;
}

export interface Gateway {
  /** Also the API's resource identifier: what tokens for it have as their audience. */
  readonly url: string;
  /** The file with the public key. */
  readonly keyFile: string;
  close(): Promise<void>;
}

const configuration = fileURLToPath(new URL('haproxy.cfg', import.meta.url));
/** Debian keeps it off the PATH of ordinary users. */
const searchPath = [process.env['PATH'], '/usr/sbin', '/usr/local/sbin'].join(delimiter);
/** `HAPROXY` names another program. */
export const haproxy: { readonly command: string; readonly env: NodeJS.ProcessEnv } = { command: process.env['HAPROXY'] ?? 'haproxy', env: { ...process.env, PATH: searchPath } };

/** HAProxy with `haproxy.cfg`, in front of an upstream on this machine. */
export async function startGateway({ issuer, jwksUri, upstreamPort }: GatewayOptions): Promise<Gateway> {
  const [directory, port, { pem, alg }] = await Promise.all([mkdtemp(join(tmpdir(), 'gateway-')), freePort(), publicKey(jwksUri)]);
  const keyFile = join(directory, 'token-key.pem');
  const url = `http://127.0.0.1:${port}`;
  try {
    await writeFile(keyFile, pem);
    const stop = await startHaproxy(port, { GATEWAY_PORT: String(port), UPSTREAM_PORT: String(upstreamPort), API_URL: url, ISSUER: issuer, TOKEN_ALG: alg, TOKEN_KEY: keyFile });
    return {
      url, keyFile,
      async close() {
        await stop();
        await rm(directory, { recursive: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true });
    throw error;
  }
}

/** What a gateway without JWKS is given. */
async function publicKey(jwksUri: string): Promise<{ pem: string; alg: string }> {
  const { keys: [key] } = await (await fetch(jwksUri)).json() as { keys: JWK[] };
  if (key?.alg === undefined) throw new Error(`${jwksUri} has no key that says its algorithm`);
  return { pem: createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString(), alg: key.alg };
}

/** Resolves once it takes connections. */
async function startHaproxy(port: number, environment: NodeJS.ProcessEnv): Promise<() => Promise<void>> {
  const child = spawn(haproxy.command, ['-db', '-f', configuration], { env: { ...haproxy.env, ...environment }, stdio: ['ignore', 'ignore', 'pipe'] });
  const killNow = (): void => { child.kill('SIGKILL'); };
  process.once('exit', killNow);
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => { output += text; });
  const ended = new Promise<never>((_, reject) => {
    child.once('error', (error: NodeJS.ErrnoException) => { reject(error.code === 'ENOENT' ? new Error(missing) : error); });
    child.once('close', () => { reject(new Error(`haproxy has ended:\n${output}`)); });
  });
  ended.catch(() => undefined);
  try {
    while (!await Promise.race([ended, takesConnections(port)])) await sleep(10);
  } catch (error) {
    process.off('exit', killNow);
    throw error;
  }
  return async () => {
    process.off('exit', killNow);
    const gone = once(child, 'close');
    child.kill('SIGKILL');
    await gone;
  };
}

const missing = 'There is no haproxy: install the package haproxy (Debian, Ubuntu, Fedora, Homebrew), 2.5 or later, or name the program in HAPROXY.';

async function takesConnections(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
