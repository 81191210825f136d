import { fileURLToPath } from 'node:url';
import { defineConfig, type ViteUserConfig } from 'vitest/config';

const examples = 'test/examples.test.ts';
const endToEnd = 'test/end-to-end.test.ts';

const config: ViteUserConfig = defineConfig({
  resolve: {
    alias: [
      { find: /^grantkeeper$/, replacement: fileURLToPath(new URL('src/index.ts', import.meta.url)) },
      { find: /^grantkeeper\/(web|node|redis|postgres|providers)$/, replacement: fileURLToPath(new URL('src/$1.ts', import.meta.url)) },
    ],
  },
  test: {
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    setupFiles: ['test/support/reproducible.ts'],
    reporters: ['default', ['json', { outputFile: '.reports/vitest.json' }]],
    projects: [
      { extends: true, test: { name: 'all', include: ['test/**/*.test.ts'], exclude: [examples, endToEnd], sequence: { groupOrder: 0 } } },
      // The demo measures itself: it runs with nothing beside it.
      { extends: true, test: { name: 'examples', include: [examples], sequence: { groupOrder: 1 } } },
      // A browser takes all that there is of a machine.
      { extends: true, test: { name: 'end-to-end', include: [endToEnd], testTimeout: 60_000, sequence: { groupOrder: 2 } } },
    ],
  },
});

export default config;
