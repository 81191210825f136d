import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import type { KeyvLike } from 'grantkeeper';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startAuthorizationServer, type AuthorizationServer } from './support/authorization-server.js';
import { startProgram, type RunningProgram } from './support/child-process.js';
import { ManualClock } from './support/clock.js';
import { signIn, webClient } from './support/web-client.js';

/** Far more than any of these programs needs. */
const LIMIT = 20_000;

let server: AuthorizationServer;
let folder: string;
let store: KeyvLike;

beforeEach(async () => {
  [server, folder] = await Promise.all([startAuthorizationServer(), mkdtemp(join(tmpdir(), 'sessions-'))]);
  store = {
    get: async (key) => readFile(fileOf(key), 'utf8').catch(() => undefined),
    set: async (key, value) => writeFile(fileOf(key), String(value)),
    delete: async (key) => rm(fileOf(key), { force: true }),
  };
});

afterEach(async () => {
  await Promise.all([server.close(), rm(folder, { recursive: true, force: true })]);
});

function fileOf(key: string): string {
  return join(folder, createHash('sha256').update(key).digest('hex'));
}

/** A user who signed in an hour ago, in another process: the access token has expired. */
async function signedInAnHourAgo(): Promise<string> {
  const clock = new ManualClock(Date.now() - 3_600_000);
  const { session } = await signIn(webClient(server, { clock, store, encryptionKeys: false }), { scope: 'offline_access' });
  return session.id;
}

/** Each file of the store, as text. */
async function stored(): Promise<string> {
  const files = await readdir(folder);
  return (await Promise.all(files.map(async (file) => readFile(join(folder, file), 'utf8')))).join('\n');
}

/** A program with the session's id in `id`. It never calls `process.exit`: it ends when nothing is left to do. */
async function program(id: string, body: string): Promise<RunningProgram> {
  return startProgram(`
    import { createHash } from 'node:crypto';
    import { readFile, rm, writeFile } from 'node:fs/promises';
    import { join } from 'node:path';
    import { createTokenManager } from 'grantkeeper';
    const fileOf = (key) => join(process.env['FOLDER'], createHash('sha256').update(key).digest('hex'));
    const store = {
      get: async (key) => readFile(fileOf(key), 'utf8').catch(() => undefined),
      set: async (key, value) => writeFile(fileOf(key), String(value)),
      delete: async (key) => rm(fileOf(key), { force: true }),
    };
    const id = process.env['SESSION'];
    const told = async () => {
      await new Promise((resolve) => { process.stdin.once('data', resolve); });
      process.stdin.destroy();
    };
    const options = { server: JSON.parse(process.env['METADATA']), clientId: 'app', clientSecret: 'secret', store, encryptionKeys: false, timeout: 15_000, allowInsecureRequests: true };
    ${body}
    console.log('done');
  `, { env: { SESSION: id, FOLDER: folder, METADATA: JSON.stringify(server.metadata) }, limitMs: LIMIT });
}

describe('R6 a process with a refresh on its way', () => {
  test('R6 doesn\'t end before what comes back is kept, though nobody waits for it', async () => {
    const id = await signedInAnHourAgo();
    const hold = server.hold();
    const running = await program(id, `
      const controller = new AbortController();
      const waiting = createTokenManager(options).session(id).getToken({ signal: controller.signal }).catch(() => undefined);
      await told();
      controller.abort();
      await waiting;
    `);
    await hold.arrived;
    running.tell('nobody waits any more');
    await running.prints('done');
    expect(await stored()).not.toContain('rt-2');
    hold.release();
    expect(await running.finished).toMatchObject({ code: 0, stdout: 'done\n', stderr: '', timedOut: false });
    expect(await stored()).toContain('"refreshToken":"rt-2"');
  });

  test('R6 nor on close()', async () => {
    const id = await signedInAnHourAgo();
    const hold = server.hold();
    const running = await program(id, `
      const tokens = createTokenManager(options);
      const controller = new AbortController();
      const waiting = tokens.session(id).getToken({ signal: controller.signal }).catch(() => undefined);
      await told();
      controller.abort();
      await waiting;
      console.log('closing');
      await tokens.close();
    `);
    await hold.arrived;
    running.tell('nobody waits any more');
    await running.prints('closing');
    expect(running.stdout).not.toContain('done');
    hold.release();
    expect(await running.finished).toMatchObject({ code: 0, stdout: 'closing\ndone\n', stderr: '', timedOut: false });
    expect(await stored()).toContain('"refreshToken":"rt-2"');
  });
});

test('R2 a process with a refresh token in memory only doesn\'t end before the store has it, for as long as its lease lasts', async () => {
  const id = await signedInAnHourAgo();
  const running = await program(id, `
    let failures = 0;
    const failing = {
      ...store,
      async set(key, value) {
        // It takes the intent, and then nothing for a while.
        if (value.includes('rt-2') && (failures += 1) < 5) throw Object.assign(new Error(), { code: 'ECONNREFUSED' });
        return store.set(key, value);
      },
    };
    console.log((await createTokenManager({ ...options, store: failing }).session(id).getToken()).value);
  `);
  expect(await running.finished).toMatchObject({ code: 0, stdout: 'at-2\ndone\n', stderr: '', timedOut: false });
  expect(await stored()).toContain('"refreshToken":"rt-2"');
});

describe('C12 nothing of a session keeps the process alive, and who waits does', () => {
  test('C12 a session that was used, and a manager that nobody closed', async () => {
    const id = await signedInAnHourAgo();
    const running = await program(id, `
      console.log((await createTokenManager(options).session(id).getToken()).value);
    `);
    expect(await running.finished).toMatchObject({ code: 0, stdout: 'at-2\ndone\n', stderr: '' });
  });

  test('C12 a top-level await on info() and end() completes, with a store that hangs as well', async () => {
    const id = await signedInAnHourAgo();
    const running = await program(id, `
      const never = () => new Promise(() => undefined);
      const hanging = createTokenManager({ ...options, timeout: 400, store: { get: never, set: never, delete: never } }).session(id);
      console.log(await hanging.info().catch((error) => error.code));
      console.log(await hanging.end().catch((error) => error.code));
      const session = createTokenManager(options).session(id);
      console.log((await session.info()).id === id);
      console.log(String((await session.end()).url).includes('/logout'));
    `);
    expect(await running.finished).toMatchObject({ code: 0, stdout: 'store_failed\nstore_failed\ntrue\ntrue\ndone\n', stderr: '' });
    expect(server.revocations.map(({ token }) => token)).toEqual(['rt-1']);
  });
});
