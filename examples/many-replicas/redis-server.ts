import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { freePort } from '../shared-servers/free-port.js';

export interface RedisServer {
  readonly url: string;
  close(): Promise<void>;
}

/** A Redis of the example's own, which keeps nothing on disk. */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  const settings = { port, bind: '127.0.0.1', save: '', appendonly: 'no' };
  // In a process group of its own: Ctrl-C is for the demo, which stops Redis last.
  const child = spawn('redis-server', Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]), { cwd: tmpdir(), detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const killNow = (): void => { child.kill('SIGKILL'); };
  process.once('exit', killNow);

  await new Promise<void>((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('Ready to accept connections')) resolve();
    });
    child.once('error', (error: NodeJS.ErrnoException) => { reject(error.code === 'ENOENT' ? new Error(missing) : error); });
    child.once('exit', () => { reject(new Error(`redis-server has ended:\n${output}`)); });
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    async close() {
      process.off('exit', killNow);
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}

const missing = 'There is no redis-server on the PATH: install the package redis-server (Debian, Ubuntu), redis (Fedora, Homebrew), or another that brings it.';
