import { styleText } from 'node:util';
import type { WriteStream } from 'node:tty';

export const WIDTH = 84;

export interface Claim {
  claim: string;
  measured: string;
  holds: boolean;
}

type Style = Parameters<typeof styleText>[0];

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** Prints the demo. On a terminal: colours and one status line that is rewritten; anywhere else plain lines. */
export class Terminal {
  readonly #stream: WriteStream;
  readonly #rich: boolean;
  readonly #live: boolean;
  #status: (() => string) | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #frame = 0;

  constructor(stream: WriteStream, env: NodeJS.ProcessEnv) {
    this.#stream = stream;
    this.#rich = stream.isTTY && !env['NO_COLOR'] && !env['CI'] && env['TERM'] !== 'dumb';
    // A status line that wraps can't be rewritten.
    this.#live = this.#rich && stream.columns >= WIDTH;
  }

  line(text = ''): void {
    this.#clear();
    this.#stream.write(`${text}\n`);
    this.#draw();
  }

  title(text: string): void {
    this.line();
    this.line(this.style('bold', text));
    this.rule();
  }

  rule(): void {
    this.line(this.style('dim', '─'.repeat(WIDTH)));
  }

  heading(number: number, text: string, about: string): void {
    this.line();
    this.line(`${this.style(['bold', 'cyan'], String(number))}  ${this.style('bold', text)}`);
    for (const line of about.split('\n')) this.line(`   ${this.style('dim', line)}`);
    this.line();
  }

  event(atMs: number, who: string, what: string): void {
    this.line(`   ${this.style('dim', seconds(atMs).padStart(7))}   ${this.style('dim', who.padEnd(20))}   ${what}`);
  }

  outcome(holds: boolean, text: string): void {
    this.line(`   ${this.mark(holds)} ${text}`);
  }

  table(claims: Claim[]): void {
    const columns = {
      claim: Math.max(...claims.map(({ claim }) => claim.length)),
      measured: Math.max('measured'.length, ...claims.map(({ measured }) => measured.length)),
    };
    const row = (claim: string, measured: string, ok: string): string =>
      `   ${claim.padEnd(columns.claim)}   ${measured.padStart(columns.measured)}   ${ok}`;
    this.line(this.style('bold', row('claim', 'measured', 'ok')));
    this.line(this.style('dim', `   ${'─'.repeat(columns.claim)}   ${'─'.repeat(columns.measured)}   ──`));
    for (const { claim, measured, holds } of claims) this.line(row(claim, measured, this.mark(holds)));
  }

  mark(holds: boolean): string {
    return holds ? this.style('green', '✓') : this.style(['bold', 'red'], '✗');
  }

  style(style: Style, text: string): string {
    return this.#rich ? styleText(style, text) : text;
  }

  /** Shows `status` below everything else, ten times a second, until it is replaced or removed. */
  status(status: (() => string) | undefined): void {
    this.#clear();
    this.#status = status;
    clearInterval(this.#ticker);
    if (status === undefined) return;
    this.#ticker = setInterval(() => {
      this.#frame += 1;
      this.#clear();
      this.#draw();
    }, 100).unref();
    this.#draw();
  }

  #clear(): void {
    if (this.#live && this.#status !== undefined) this.#stream.write('\r\x1b[2K');
  }

  #draw(): void {
    if (!this.#live || this.#status === undefined) return;
    const frame = FRAMES[this.#frame % FRAMES.length] ?? '';
    this.#stream.write(`   ${this.style('cyan', frame)} ${this.#status()}`);
  }
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `3 calls`, `1 call`. */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

/** A bar of `cells` characters, `part` of it filled. */
export function bar(part: number, cells: number): { filled: string; rest: string } {
  const filled = Math.round(Math.min(Math.max(part, 0), 1) * cells);
  return { filled: '━'.repeat(filled), rest: '─'.repeat(cells - filled) };
}
