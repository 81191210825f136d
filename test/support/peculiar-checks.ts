import type { Dialect } from 'grantkeeper';
import { describe, expect, test } from 'vitest';
import { runOf, withoutEach, type Peculiar } from './peculiar-run.js';

/** Each server is served by its dialect, and by nothing less. */
export function describeDialects(servers: Readonly<Record<string, Peculiar>>): void {
  describe.each(Object.entries(servers))('%s', (_name, server) => {
    test('P1 what is sent is what the server takes, and what is read is in the RFC\'s words', async () => {
      expect(await runOf(server)).toMatchObject(server.expected);
    });

    const members = withoutEach(server.dialect('https://login.example.com')).map(([path]) => path);
    test.each(members)('P1 not without %s', async (path) => {
      const lacking = (origin: string): Dialect => Object.fromEntries(withoutEach(server.dialect(origin)))[path] ?? {};
      const outcome: unknown = await runOf(server, lacking).catch((thrown: unknown) => thrown);
      expect(outcome).not.toMatchObject(server.expected);
    });
  });
}
