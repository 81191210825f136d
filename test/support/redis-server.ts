import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { eventually } from './eventually.js';
import { freePort } from './free-port.js';

const LOOPBACK = '127.0.0.1';
const REMEDY = "install Debian's package redis-server";

export const redisAvailable: boolean = spawnSync('redis-server', ['--version']).status === 0;

/** Skips, saying why, where there is no redis-server; on CI that is a failure: nobody reads what is skipped there. */
export function describeWithRedis(title: string, suite: () => void): void {
  if (redisAvailable) describe(title, suite);
  else if (process.env['CI']) {
    describe(title, () => {
      test('needs redis-server', () => {
        throw new Error(`redis-server is not on the PATH: ${REMEDY}`);
      });
    });
  } else describe.skip(`${title} (skipped: ${REMEDY})`, suite);
}

/** A real Redis without persistence. */
export class RedisServer {
  readonly port: number;
  readonly url: string;
  readonly #directory: string;
  readonly #settings: Readonly<Record<string, string | number>>;
  #process: ChildProcess | undefined;

  /** @param settings beside those of every server here, by their names in redis.conf */
  constructor(port: number, directory: string, settings: Readonly<Record<string, string | number>> = {}) {
    this.port = port;
    this.url = `redis://${LOOPBACK}:${port}`;
    this.#directory = directory;
    this.#settings = settings;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** On the same port, and empty. */
  async restart(): Promise<void> {
    await this.kill();
    const settings = { port: this.port, bind: LOOPBACK, dir: this.#directory, save: '', appendonly: 'no', ...this.#settings };
    const child = spawn('redis-server', Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]), { stdio: 'ignore' });
    this.#process = child;
    process.once('exit', this.#killNow);
    const died = once(child, 'exit').then(() => {
      throw new Error(`redis-server on port ${this.port} ended before it answered`);
    });
    died.catch(() => undefined);
    await Promise.race([died, eventually(() => ping(this.port))]);
  }

  /** The process keeps its connections and answers nothing; resolves once it really stands still. */
  async freeze(): Promise<void> {
    this.#process?.kill('SIGSTOP');
    await eventually(() => processState(this.pid).startsWith('T'));
  }

  async thaw(): Promise<void> {
    this.#process?.kill('SIGCONT');
    await eventually(() => ping(this.port));
  }

  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    process.off('exit', this.#killNow);
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #killNow = (): void => {
    this.#process?.kill('SIGKILL');
  };
}

function processState(pid = 0): string {
  // The state follows the command in parentheses. Slim images have no `ps`, other systems no /proc.
  const proc = `/proc/${pid}/stat`;
  if (existsSync(proc)) return readFileSync(proc, 'utf8').replace(/^.*\) /s, '');
  return spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
}

async function ping(port: number): Promise<void> {
  const answer = await ask(port, 'PING');
  if (!answer.startsWith('+PONG')) throw new Error(`PING was answered ${answer}`);
}

async function ask(port: number, command: string): Promise<string> {
  const socket = connect(port, LOOPBACK);
  try {
    socket.setTimeout(500, () => socket.destroy(new Error(`no answer to ${command}`)));
    socket.write(`${command}\r\n`);
    const [answer] = await once(socket, 'data') as [Buffer];
    return answer.toString();
  } finally {
    socket.destroy();
  }
}

/** A cluster of one server: its clients find their way by slots all the same. */
export async function startRedisCluster(): Promise<RedisServer> {
  const cluster = await startRedis({ 'cluster-enabled': 'yes', 'cluster-port': await freePort(), 'cluster-announce-ip': LOOPBACK });
  await ask(cluster.port, 'CLUSTER ADDSLOTSRANGE 0 16383');
  await eventually(async () => (await ask(cluster.port, 'CLUSTER INFO')).includes('cluster_state:ok'));
  return cluster;
}

export async function startRedis(settings: Readonly<Record<string, string | number>> = {}): Promise<RedisServer> {
  const redis = new RedisServer(await freePort(), await mkdtemp(join(tmpdir(), 'redis-')), settings);
  try {
    await redis.restart();
  } catch (error) {
    await redis.close();
    throw error;
  }
  return redis;
}
