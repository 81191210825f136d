import type { WriteStream } from 'node:tty';
import type { Campaign } from './campaign.js';

const CELLS = 30;
const PLAIN_EVERY_MS = 10_000;

/** How far a campaign has come: one line that is rewritten on a terminal, a line now and then elsewhere. */
export class Progress {
  readonly #stream: WriteStream;
  readonly #campaign: Campaign;
  readonly #began = performance.now();
  readonly #ticker: NodeJS.Timeout;

  constructor(campaign: Campaign, stream: WriteStream) {
    this.#campaign = campaign;
    this.#stream = stream;
    this.#ticker = setInterval(() => { this.#draw(); }, stream.isTTY ? 200 : PLAIN_EVERY_MS);
  }

  end(): void {
    clearInterval(this.#ticker);
    this.#draw();
    if (this.#stream.isTTY) this.#stream.write('\n');
  }

  #draw(): void {
    const { faults, options, alive, lost, journal } = this.#campaign;
    const part = options.faults === 0 ? 1 : faults.length / options.faults;
    const filled = Math.round(part * CELLS);
    const seconds = Math.round((performance.now() - this.#began) / 1_000);
    const figures = `${faults.length}/${options.faults} faults  ${alive} sessions alive  ${lost.size} lost  ${journal.doubleUses.length} double uses  ${seconds} s`;
    this.#stream.write(this.#stream.isTTY ? `\r\x1b[2K${'━'.repeat(filled)}${'─'.repeat(CELLS - filled)} ${figures}` : `${figures}\n`);
  }
}
