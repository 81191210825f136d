import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';

interface Entry {
  readonly payload: AdapterPayload;
  /** Milliseconds since the epoch. */
  usedAt?: number;
}

/**
 * oidc-provider's storage, in memory. Whether an entry has expired is judged by the provider.
 *
 * The provider takes a replaced refresh token that comes again for a stolen one, and revokes the grant. Many servers allow for lost answers and take it for some
 * seconds more: that grace is played here, by showing a refresh token as used so much later.
 * @param refreshGrace milliseconds
 */
export function memoryAdapter(refreshGrace: number): AdapterFactory {
  const entries = new Map<string, Entry>();
  return (model) => new MemoryAdapter(model, entries, model === 'RefreshToken' ? refreshGrace : 0);
}

class MemoryAdapter implements Adapter {
  readonly #model: string;
  /** Of all models: what belongs to a grant is revoked together. */
  readonly #entries: Map<string, Entry>;
  readonly #grace: number;

  constructor(model: string, entries: Map<string, Entry>, grace: number) {
    this.#model = model;
    this.#entries = entries;
    this.#grace = grace;
  }

  upsert(id: string, payload: AdapterPayload): Promise<void> {
    this.#entries.set(this.#key(id), { payload });
    return Promise.resolve();
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#shown(this.#entries.get(this.#key(id))));
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#shown(this.#where((payload) => payload.uid === uid)));
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#shown(this.#where((payload) => payload.userCode === userCode)));
  }

  consume(id: string): Promise<void> {
    const entry = this.#entries.get(this.#key(id));
    if (entry !== undefined) entry.usedAt ??= Date.now();
    return Promise.resolve();
  }

  destroy(id: string): Promise<void> {
    this.#entries.delete(this.#key(id));
    return Promise.resolve();
  }

  revokeByGrantId(grantId: string): Promise<void> {
    for (const [key, { payload }] of this.#entries) if (payload.grantId === grantId) this.#entries.delete(key);
    return Promise.resolve();
  }

  #key(id: string): string {
    return `${this.#model}:${id}`;
  }

  #where(matches: (payload: AdapterPayload) => boolean): Entry | undefined {
    return [...this.#entries].find(([key, { payload }]) => key.startsWith(this.#key('')) && matches(payload))?.[1];
  }

  #shown(entry: Entry | undefined): AdapterPayload | undefined {
    if (entry?.usedAt === undefined || Date.now() - entry.usedAt < this.#grace) return entry?.payload;
    return { ...entry.payload, consumed: Math.floor(entry.usedAt / 1_000) };
  }
}
