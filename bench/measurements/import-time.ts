import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { builtPackage } from '../grantkeeper.js';
import { decimals, median, milliseconds } from '../figures.js';
import type { Measurement } from '../measurement.js';
import { packageName as badgateway } from '../peers/badgateway.js';
import { packageName as google } from '../peers/google-auth.js';

const runs = 25;

const programs = [
  { name: 'nothing', code: '' },
  { name: 'openid-client alone', code: importOf(import.meta.resolve('openid-client')) },
  { name: 'grantkeeper', code: importOf(builtPackage.href) },
  { name: badgateway, code: importOf(import.meta.resolve(badgateway)) },
  { name: google, code: importOf(import.meta.resolve(google)) },
];

const importTime: Measurement = async (progress) => {
  for (const { code } of programs) await timeProcess(code);
  const times: number[][] = programs.map(() => []);
  progress(`${runs} runs of ${programs.length} programs`);
  for (let run = 0; run < runs; run++) {
    for (let turn = 0; turn < programs.length; turn++) {
      const index = (run + turn) % programs.length;
      times[index]?.push(await timeProcess(programs[index]?.code ?? ''));
    }
  }
  const medians = times.map(median);
  const [nothing = Number.NaN, openidClient = Number.NaN, grantkeeper = Number.NaN] = medians;
  const ratio = (grantkeeper - nothing) / (openidClient - nothing);
  return {
    title: 'Import time',
    method: `A fresh \`node\` process that imports one package and ends, from spawn to exit; ${runs} runs each, interleaved; medians, less that of a program that imports nothing.`,
    table: {
      columns: ['imported', 'whole process', 'import'],
      rows: programs.map(({ name }, index) => [name, milliseconds(medians[index] ?? Number.NaN), milliseconds((medians[index] ?? Number.NaN) - nothing)]),
    },
    targets: [{ what: 'import time against openid-client alone', target: '<= 1.5', measured: decimals(ratio), reached: ratio <= 1.5 }],
  };
};

function importOf(url: string): string {
  return `import ${JSON.stringify(url)};`;
}

async function timeProcess(code: string): Promise<number> {
  const start = performance.now();
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], { stdio: ['ignore', 'ignore', 'inherit'], env: {} });
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  if (exitCode !== 0) throw new Error(`a process that imports ended with ${String(exitCode)}`);
  return performance.now() - start;
}

export default importTime;
