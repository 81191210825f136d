import { setTimeout as delay } from 'node:timers/promises';
import { startPostgres } from '../test/support/postgres-server.js';
import { startRedis } from '../test/support/redis-server.js';
import type { Journal } from './journal.js';
import type { StoreAddress, StoreKind } from './protocol.js';

interface Server {
  readonly url: string;
  restart(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  close(): Promise<void>;
}

/** The store that all workers share, and its outages, one at a time. It comes back with all that it ever confirmed. */
export class StoreServer {
  readonly address: StoreAddress;
  readonly #server: Server;
  readonly #journal: Journal;
  #last: Promise<void> = Promise.resolve();

  private constructor(server: Server, kind: StoreKind, journal: Journal) {
    this.address = { kind, url: server.url };
    this.#server = server;
    this.#journal = journal;
  }

  static async start(kind: StoreKind, journal: Journal): Promise<StoreServer> {
    // Killing a process loses nothing that it has handed to the system: no need to wait for a disk.
    const server = kind === 'redis' ? await startRedis({ appendonly: 'yes', appendfsync: 'no' }) : await startPostgres();
    return new StoreServer(server, kind, journal);
  }

  async freeze(ms: number): Promise<void> {
    await this.#inTurn('store', async () => {
      await this.#server.freeze();
      await delay(ms);
      await this.#server.thaw();
    });
  }

  async restart(): Promise<void> {
    await this.#inTurn('store, connections broken', async () => this.#server.restart());
  }

  async close(): Promise<void> {
    await this.#server.close();
  }

  async #inTurn(of: 'store' | 'store, connections broken', outage: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(async () => {
      const from = Date.now();
      await outage();
      this.#journal.outages.push({ of, from, to: Date.now() });
    });
    await this.#last;
  }
}
