import { spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { describe, test } from 'vitest';
import { eventually } from './eventually.js';
import { freePort } from './free-port.js';

const LOOPBACK = '127.0.0.1';
const REMEDY = "install Debian's package postgresql";
/** Debian keeps all but the client off the PATH. */
const DEBIAN = '/usr/lib/postgresql';

const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)).map((version) => join(DEBIAN, version, 'bin')) : [];
const binaries = [...(process.env['PATH'] ?? '').split(delimiter), ...versions].find((folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name))));

export const postgresAvailable: boolean = binaries !== undefined;

/** Skips, saying why, where there is no PostgreSQL; on CI that is a failure: nobody reads what is skipped there. */
export function describeWithPostgres(title: string, suite: () => void): void {
  if (postgresAvailable) describe(title, suite);
  else if (process.env['CI']) {
    describe(title, () => {
      test('needs PostgreSQL', () => {
        throw new Error(`postgres and initdb are neither on the PATH nor under ${DEBIAN}: ${REMEDY}`);
      });
    });
  } else describe.skip(`${title} (skipped: ${REMEDY})`, suite);
}

/** A real PostgreSQL of its own, which trusts everybody on the loopback and never waits for a disk. */
export class PostgresServer {
  readonly port: number;
  readonly url: string;
  readonly #directory: string;
  #process: ChildProcess | undefined;

  constructor(port: number, directory: string) {
    this.port = port;
    this.url = `postgres://postgres@${LOOPBACK}:${port}/postgres`;
    this.#directory = directory;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** On the same port, with what was in it unless it's to be `empty`. */
  async restart({ empty = false }: { empty?: boolean } = {}): Promise<void> {
    await this.kill();
    const data = join(this.#directory, 'data');
    if (empty) await rm(data, { recursive: true, force: true });
    if (!existsSync(data)) await ended(run('initdb', ['--pgdata', data, '--username', 'postgres', '--auth', 'trust', '--encoding', 'UTF8', '--no-locale', '--no-sync'], 'ignore'));
    const settings = {
      port: this.port, listen_addresses: LOOPBACK, unix_socket_directories: '', max_connections: 200, shared_buffers: '16MB',
      fsync: 'off', full_page_writes: 'off', log_min_messages: 'panic',
    };
    const child = run('postgres', ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])], 'ignore');
    this.#process = child;
    process.once('exit', this.#killNow);
    const died = once(child, 'exit').then(() => {
      throw new Error(`postgres on port ${this.port} ended before it answered`);
    });
    died.catch(() => undefined);
    await Promise.race([died, eventually(() => selectOne(this.url), 20_000)]);
  }

  /** All its processes keep their connections and answer nothing; resolves once they really stand still. */
  async freeze(): Promise<void> {
    await eventually(() => {
      const all = this.#family();
      // The parent first: no new ones come after that.
      for (const { pid } of all) signal(pid, 'SIGSTOP');
      return all.length > 0 && all.every(({ state }) => state.startsWith('T'));
    });
  }

  async thaw(): Promise<void> {
    this.#wake();
    await eventually(() => selectOne(this.url));
  }

  /** Without a goodbye to anybody, frozen or not. Only the parent's own way out takes along its shared memory, which would outlast it. */
  async kill(): Promise<void> {
    const child = this.#process;
    process.off('exit', this.#killNow);
    if (child?.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      this.#killNow();
      await gone;
    }
    this.#process = undefined;
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  readonly #killNow = (): void => {
    this.#process?.kill('SIGQUIT');
    this.#wake();
  };

  #wake(): void {
    for (const { pid } of this.#family()) signal(pid, 'SIGCONT');
  }

  /** The parent, and its processes: each is a group of its own. */
  #family(): readonly RunningProcess[] {
    const all = runningProcesses();
    return [...all.filter(({ pid }) => pid === this.pid), ...all.filter(({ parent }) => parent === this.pid)];
  }
}

/** PostgreSQL refuses to run as root. */
const unprivileged: { readonly uid?: number; readonly gid?: number } = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {};

function idOf(flag: '-u' | '-g'): number {
  return Number(spawnSync('id', [flag, 'nobody'], { encoding: 'utf8' }).stdout);
}

function run(program: string, parameters: readonly string[], stdio: StdioOptions): ChildProcess {
  return spawn(join(binaries ?? '', program), parameters, { stdio, cwd: tmpdir(), env: { ...process.env, LC_ALL: 'C' }, ...unprivileged });
}

async function ended(child: ChildProcess): Promise<void> {
  const [code] = await once(child, 'exit') as [number | null];
  if (code !== 0) throw new Error(`${child.spawnfile} ended with code ${String(code)}`);
}

interface RunningProcess {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
}

function runningProcesses(): RunningProcess[] {
  // Slim images have no `ps`, other systems no /proc.
  const lines = existsSync('/proc/self/stat')
    ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(statOf)
    : spawnSync('ps', ['-ax', '-o', 'pid=,stat=,ppid='], { encoding: 'utf8' }).stdout.split('\n');
  return lines.map((line) => line.trim().split(/\s+/)).map(([pid, state = '', parent]) => ({ pid: Number(pid), parent: Number(parent), state }));
}

/** The id, the state and the parent's id, which stand around the command in parentheses. */
function statOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/\(.*\)/s, '');
  } catch {
    // It has ended meanwhile.
    return '';
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

async function selectOne(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 500, query_timeout: 500 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
  } finally {
    void client.end().catch(() => undefined);
  }
}

export async function startPostgres(): Promise<PostgresServer> {
  const directory = await mkdtemp(join(tmpdir(), 'postgres-'));
  const { uid, gid } = unprivileged;
  if (uid !== undefined && gid !== undefined) await chown(directory, uid, gid);
  const postgres = new PostgresServer(await freePort(), directory);
  try {
    await postgres.restart();
  } catch (error) {
    await postgres.close();
    throw error;
  }
  return postgres;
}
