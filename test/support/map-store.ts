import type { KeyvLike } from 'grantkeeper';

/** The smallest store that works, with its entries laid open. */
export class MapStore implements KeyvLike {
  readonly entries: Map<string, unknown> = new Map<string, unknown>();
  readonly calls: { operation: 'get' | 'set' | 'delete'; key: string; ttl?: number | undefined }[] = [];

  get(key: string): Promise<unknown> {
    this.calls.push({ operation: 'get', key });
    return Promise.resolve(this.entries.get(key));
  }

  set(key: string, value: unknown, ttl?: number): Promise<unknown> {
    this.calls.push({ operation: 'set', key, ttl });
    this.entries.set(key, value);
    return Promise.resolve(true);
  }

  delete(key: string): Promise<unknown> {
    this.calls.push({ operation: 'delete', key });
    return Promise.resolve(this.entries.delete(key));
  }

  count(operation: 'get' | 'set' | 'delete'): number {
    return this.calls.filter((call) => call.operation === operation).length;
  }

  /** The one entry that is there. */
  get only(): { key: string; value: unknown } {
    const [entry, ...others] = this.entries;
    if (entry === undefined || others.length > 0) throw new Error(`the store has ${this.entries.size} entries`);
    return { key: entry[0], value: entry[1] };
  }
}
