import { createFetch } from 'grantkeeper';
import { Agent } from 'undici';
import { expect, test } from 'vitest';
import { startApi } from './support/api-server.js';
import { runProgram } from './support/child-process.js';
import { eventually } from './support/eventually.js';
import { accessToken, NumberedTokens } from './support/token-source.js';

const mebibyte = 1024 * 1024;

test('F14 a 300 MB streamed upload does not stay in memory', { timeout: 60_000 }, async () => {
  await using api = await startApi({ keepBodies: false });
  const result = await runProgram(`
    import { createFetch } from 'grantkeeper';
    const chunk = ${mebibyte};
    const chunks = 300;
    let sent = 0;
    let peak = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const { arrayBuffers, external } = process.memoryUsage();
        peak = Math.max(peak, arrayBuffers, external);
        if (sent === chunks) controller.close();
        else controller.enqueue(new Uint8Array(chunk).fill(sent));
        sent += 1;
      },
    }, { highWaterMark: 1 });
    const source = { getToken: () => Promise.resolve({ value: 't', type: 'Bearer' as const, parameters: {} }) };
    const upload = createFetch(source, { baseUrl: process.argv[2] ?? '', allowInsecureRequests: true });
    const response = await upload('/upload', { method: 'POST', body, duplex: 'half' });
    process.stdout.write(JSON.stringify({ status: response.status, peak }));
    process.exit();
  `, { args: [api.origin], limitMs: 60_000 });
  expect(result).toMatchObject({ code: 0, stderr: '' });
  const { status, peak } = JSON.parse(result.stdout) as { status: number; peak: number };
  expect(status).toBe(200);
  expect(api.lastRequest.bodySize).toBe(300 * mebibyte);
  expect(peak).toBeLessThan(120 * mebibyte);
});

test.each([100, 200_000])('F9 1,000 replays (100 of big ones) with one connection leak no socket: refusals of %d bytes', async (size) => {
  await using api = await startApi();
  const agent = new Agent({ connections: 1 });
  try {
    const refusal = { status: 401, body: 'x'.repeat(size) };
    const source = new NumberedTokens();
    const single = createFetch(source, { baseUrl: api.origin, allowInsecureRequests: true, dispatcher: agent, retry: false });
    const replays = size > 100 ? 100 : 1_000;
    for (let call = 0; call < replays; call += 1) {
      api.answersNext(refusal);
      const response = await single('/x');
      if (response.status !== 200) throw new Error(`call ${call} was answered ${response.status}`);
      await response.text();
    }
    expect(api.requests).toHaveLength(2 * replays);
    expect(source.refreshes).toBe(replays);
    await eventually(() => api.openConnections <= 1);
    if (size <= 100) expect(api.totalConnections).toBeLessThan(replays / 10);
  } finally {
    await agent.destroy();
  }
});

test('F9 retries and refusals that are handed out unread hold one connection each, and no more', async () => {
  await using api = await startApi();
  const source = { getToken: () => Promise.resolve(accessToken('same')) };
  const fetching = createFetch(source, { baseUrl: api.origin, allowInsecureRequests: true, retry: { minDelay: 0 } });
  for (let call = 0; call < 20; call += 1) {
    api.answersNext({ status: 503, body: 'x'.repeat(100_000) }, { status: 401, body: 'x'.repeat(100_000) });
    const response = await fetching('/x');
    expect(response.status).toBe(401);
    await response.body?.cancel();
  }
  // One that is being given up may still be open when the next request is sent.
  expect(api.openConnections).toBeLessThan(5);
});
