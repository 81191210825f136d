import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deferred } from './deferred.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Inside the repository, so that the programs find its packages; ignored by git. */
const PROGRAMS = join(ROOT, '.reports', 'programs');
/** The bare name would be looked up from the child's own working directory. */
const TSX = import.meta.resolve('tsx');

export interface ProgramOptions {
  /** @default the repository's root */
  cwd?: string;
  /** On top of this process's environment; `undefined` takes a variable away. */
  env?: NodeJS.ProcessEnv;
  args?: string[];
  /** Flags of node itself, e.g. `--expose-gc`. */
  nodeArgs?: string[];
  /** The program is killed after so many milliseconds. @default 30_000 */
  limitMs?: number;
}

export interface ProgramResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
  /** Whether it was the limit that ended it. */
  readonly timedOut: boolean;
}

/** TypeScript or ESM source text, or a file that holds it. `grantkeeper` is imported from src; a file that isn't TypeScript is run as it is. */
export type Program = string | { file: string | URL };

/** A program that is running: it can be watched, told something, and killed. */
export class RunningProgram {
  readonly finished: Promise<ProgramResult>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';
  #watchers: (() => void)[] = [];

  constructor(child: ChildProcess, limitMs: number, tidy: () => Promise<void>) {
    this.#child = child;
    this.finished = this.#watch(limitMs).finally(tidy);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  /** A line for its standard input. */
  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Resolves once its standard output contains the text; rejects if it ends without. */
  async prints(text: string): Promise<void> {
    const seen = deferred();
    const look = (): void => {
      if (this.#stdout.includes(text)) seen.resolve();
    };
    this.#watchers.push(look);
    look();
    const ended = this.finished.then(({ stdout, stderr }) => {
      if (!stdout.includes(text)) throw new Error(`ended without printing ${JSON.stringify(text)}: ${stdout}${stderr}`);
    });
    await Promise.race([seen.promise, ended]);
  }

  #watch(limitMs: number): Promise<ProgramResult> {
    const { promise, resolve, reject } = deferred<ProgramResult>();
    const start = performance.now();
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      this.kill();
    }, limitMs);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      for (const look of this.#watchers) look();
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    // A program that ends without reading what it was told is judged by its exit, not by EPIPE.
    this.#child.stdin?.on('error', () => undefined);
    this.#child.once('error', reject);
    this.#child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr, durationMs: performance.now() - start, timedOut });
    });
    return promise;
  }
}

export async function startProgram(program: Program, options: ProgramOptions = {}): Promise<RunningProgram> {
  const { cwd = ROOT, env, args = [], nodeArgs = [], limitMs = 30_000 } = options;
  const { file, tidy } = await place(program);
  const loader = file.endsWith('.ts') ? ['--import', TSX] : [];
  const child = spawn(process.execPath, [...nodeArgs, ...loader, file, ...args], {
    cwd,
    env: { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.json'), ...env },
  });
  return new RunningProgram(child, limitMs, tidy);
}

export async function runProgram(program: Program, options: ProgramOptions = {}): Promise<ProgramResult> {
  const { finished } = await startProgram(program, options);
  return finished;
}

async function place(program: Program): Promise<{ file: string; tidy: () => Promise<void> }> {
  if (typeof program !== 'string') {
    const { file } = program;
    return { file: typeof file === 'string' ? file : fileURLToPath(file), tidy: () => Promise.resolve() };
  }
  await mkdir(PROGRAMS, { recursive: true });
  const folder = await mkdtemp(join(PROGRAMS, 'program-'));
  const file = join(folder, 'program.ts');
  await writeFile(file, program);
  return { file, tidy: () => rm(folder, { recursive: true, force: true }) };
}
