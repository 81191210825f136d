/** Pictures of the example web backend for the README: `npm run screenshot` writes them to docs/. */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions } from 'playwright-core';
import { startDemo } from '../../examples/web-backend/start-demo.js';
import { launchChromium } from './chromium.js';
import { Visitor } from './visitor.js';
import { WatchedProvider } from './watched-provider.js';

const folder = new URL('../../docs/', import.meta.url);
const pictures: Record<string, BrowserContextOptions> = {
  'web-backend.png': { viewport: { width: 1_080, height: 690 }, deviceScaleFactor: 1.5 },
  'web-backend-phone.png': { viewport: { width: 390, height: 844 }, deviceScaleFactor: 1.5, colorScheme: 'dark' },
};

await mkdir(folder, { recursive: true });
const provider = new WatchedProvider();
const demo = await startDemo({ accessTokenTtl: 600, log: () => undefined, onRequest: provider.onRequest });
provider.watch(demo.authorizationServer.provider);
const browser = await launchChromium();
try {
  for (const [file, options] of Object.entries(pictures)) {
    const visitor = await Visitor.arrives(browser, demo.url, options);
    demo.authorizationServer.accessTokenTtl = 2;
    await visitor.signsIn();
    await provider.tokensExpire();
    demo.authorizationServer.accessTokenTtl = 30;
    for (let calls = 0; calls < 3; calls += 1) await visitor.callsAgain();
    await visitor.page.mouse.move(0, 0);
    await visitor.page.screenshot({ path: fileURLToPath(new URL(file, folder)) });
    await visitor.leaves();
  }
} finally {
  await browser.close();
  await demo.close();
}
