import { renderUnicodeCompact } from 'uqr';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSurroundings, type Surroundings } from '../examples/device/start-surroundings.js';
import { UserAgent } from '../examples/shared-servers/user-agent.js';
import { runProgram, startProgram } from './support/child-process.js';

const example = (file: string): { file: URL } => ({ file: new URL(`../examples/device/${file}`, import.meta.url) });

interface Shown {
  address: string;
  userCode: string;
}

/** What the user reads. */
function shownIn(stdout: string): Shown {
  const [, address = '', userCode = ''] = /Open (\S+) on another device and enter (\S+),/.exec(stdout) ?? [];
  return { address, userCode };
}

describe('the demo of the device', () => {
  test('shows a code, is told to wait, and knows who has approved it', async () => {
    const { code, stdout, stderr } = await runProgram(example('demo.ts'));
    expect([code, stderr], stdout).toEqual([0, '']);
    const { address, userCode } = shownIn(stdout);
    expect(userCode).toMatch(/^[A-Z]{4}-[A-Z]{4}$/);
    expect(stdout).toContain(renderUnicodeCompact(`${address}?user_code=${userCode}`, { border: 2 }));
    const story = ['authorization_pending', 'Ada Lovelace scans it', 'Ada Lovelace has signed in. The API answered 200 {"customer":"user-'];
    expect(story.map((line) => stdout.indexOf(line)).every((at, index, all) => at > (all[index - 1] ?? -1))).toBe(true);
    await expect(fetch(address)).rejects.toThrow('fetch failed');
  });

  test('with --wait waits for you, until it is interrupted: 130, and no server is left behind', async () => {
    const demo = await startProgram(example('demo.ts'), { args: ['--wait'] });
    await demo.prints('authorization_pending');
    demo.kill('SIGINT');
    const { code, stdout, stderr } = await demo.finished;
    expect([code, stderr]).toEqual([130, '']);
    expect(stdout).not.toContain('Ada');
    await expect(fetch(shownIn(stdout).address)).rejects.toThrow('fetch failed');
  });
});

describe('the device by itself', () => {
  let surroundings: Surroundings;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    surroundings = await startSurroundings();
    const { issuer, clientId, apiUrl } = surroundings.settings;
    env = { ISSUER: issuer, CLIENT_ID: clientId, API_URL: apiUrl, ALLOW_INSECURE_REQUESTS: 'true' };
  });
  afterAll(async () => { await surroundings.close(); });

  test('calls the API as whoever has approved it', async () => {
    const device = await startProgram(example('device.ts'), { env });
    await device.prints('minutes:');
    const { address, userCode } = shownIn(device.stdout);
    await new UserAgent().approveDevice(`${address}?user_code=${userCode}`, userCode, 'Grace Hopper');
    const { code, stdout, stderr } = await device.finished;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Grace Hopper has signed in. The API answered 200');
  });

  test('ends with 1 and the reason where the user says no', async () => {
    const { DeviceCode } = surroundings.authorizationServer.provider;
    const device = await startProgram(example('device.ts'), { env });
    await device.prints('minutes:');
    const asked = await DeviceCode.findByUserCode(shownIn(device.stdout).userCode.replace('-', ''));
    if (asked === undefined) throw new Error('the server does not know the code');
    await Object.assign(asked, { error: 'access_denied', errorDescription: 'The user said no.' }).save();
    const { code, stderr } = await device.finished;
    expect([code, stderr]).toEqual([1, '  The authorization server ended the login with "access_denied"\n']);
  });

  test('stops quietly when it is told to', async () => {
    const device = await startProgram(example('device.ts'), { env });
    await device.prints('minutes:');
    device.kill('SIGTERM');
    const { code, stdout, stderr } = await device.finished;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('Never mind.');
  });

  test('names every variable that is missing', async () => {
    const { code, stderr } = await runProgram(example('device.ts'), { env: { ...env, ISSUER: undefined, API_URL: '' } });
    expect([code, stderr]).toEqual([1, 'Error: Missing in the environment: ISSUER, API_URL\n']);
  });
});
