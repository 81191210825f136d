import { defineConfig } from 'tsup';

const config: ReturnType<typeof defineConfig> = defineConfig({
  entry: ['src/index.ts', 'src/web.ts', 'src/node.ts', 'src/redis.ts', 'src/postgres.ts', 'src/providers.ts'],
  format: 'esm',
  target: 'node20',
  platform: 'node',
  dts: true,
  clean: true,
  treeshake: true,
  sourcemap: true,
});

export default config;
