import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { describe, test } from 'vitest';

const REMEDY = 'install Debian\'s package chromium, or name one in CHROMIUM';

/** The path of a Chromium, if there is one. */
const executable = [process.env['CHROMIUM'] ?? '', ...(process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'chromium'))].find((path) => path !== '' && existsSync(path));

/** Skips, saying why, where there is no Chromium; on CI that is a failure: nobody reads what is skipped there. */
export function describeWithChromium(title: string, suite: () => void): void {
  if (executable !== undefined) describe(title, suite);
  else if (process.env['CI']) {
    describe(title, () => {
      test('needs Chromium', () => {
        throw new Error(`chromium is not on the PATH: ${REMEDY}`);
      });
    });
  } else describe.skip(`${title} (skipped: ${REMEDY})`, suite);
}

/** Headless, with a profile of its own that is empty at first, and no way to reach anything but this machine. */
export async function launchChromium(): Promise<Browser> {
  if (executable === undefined) throw new Error(`There is no Chromium: ${REMEDY}`);
  return chromium.launch({
    executablePath: executable,
    headless: true,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
    ],
  });
}
