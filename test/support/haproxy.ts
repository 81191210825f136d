import { spawnSync } from 'node:child_process';
import { describe, test } from 'vitest';
import { haproxy } from '../../examples/haproxy/gateway.js';

const REMEDY = "install Debian's package haproxy";

const available: boolean = spawnSync(haproxy.command, ['-v'], { env: haproxy.env }).status === 0;

/** Skips, saying why, where there is no haproxy; on CI that is a failure: nobody reads what is skipped there. */
export function describeWithHaproxy(title: string, suite: () => void): void {
  if (available) describe(title, suite);
  else if (process.env['CI']) {
    describe(title, () => {
      test('needs haproxy', () => {
        throw new Error(`haproxy is neither on the PATH nor in /usr/sbin: ${REMEDY}`);
      });
    });
  } else describe.skip(`${title} (skipped: ${REMEDY})`, suite);
}
