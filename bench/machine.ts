import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, release, totalmem, type as osName } from 'node:os';
import { packageName as badgateway } from './peers/badgateway.js';
import { packageName as google } from './peers/google-auth.js';

/** What the figures depend on, as name and value. To be asked before anything is measured: the load is that of others. */
export function machine(): readonly (readonly [string, string])[] {
  return [
    ['Date', new Date().toISOString().slice(0, 16).replace('T', ' ') + ' UTC'],
    ['CPU', `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores, ${arch()}`],
    ['Load before', loadavg().map((load) => load.toFixed(1)).join(', ') + ' (1, 5 and 15 minutes)'],
    ['Memory', `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ['OS', `${osName()} ${release()}`],
    ['Node', `${process.version} (its fetch is undici ${process.versions['undici'] ?? 'unknown'})`],
    ['grantkeeper', version(new URL('../package.json', import.meta.url))],
    ...['undici', 'openid-client'].map((name) => [name, version(new URL(`../node_modules/${name}/package.json`, import.meta.url))] as const),
    ...[badgateway, google].map((name) => [name, version(new URL(`node_modules/${name}/package.json`, import.meta.url))] as const),
  ];
}

function version(manifest: URL): string {
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
