import { endWithParent, tellParent } from './message.js';

/** A job's side of the channel: takes its argument, reports one result, and ends. */
export async function job(run: (argument: never, progress: (line: string) => void) => Promise<unknown>): Promise<void> {
  endWithParent();
  const argument = JSON.parse(process.argv[2] ?? 'null') as never;
  const value = await run(argument, (line) => {
    tellParent({ type: 'progress', line });
  });
  process.send?.({ type: 'result', value }, () => {
    process.exit();
  });
}

/** Needs `--expose-gc`. Two turns, so that what a finalizer lets go of is gone too. */
export async function collectGarbage(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error('start this job with --expose-gc');
  for (let turn = 0; turn < 2; turn++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
