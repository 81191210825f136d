import type { Adapter, AdapterPayload } from 'oidc-provider';

/** All models of one provider, by model and id. */
export type Entries = Map<string, AdapterPayload>;

/** oidc-provider's storage as a plain map; the package's own in-memory adapter prints a warning. Expiry is judged by the models. */
export class MapAdapter implements Adapter {
  readonly #model: string;
  readonly #entries: Entries;

  constructor(model: string, entries: Entries) {
    this.#model = model;
    this.#entries = entries;
  }

  upsert(id: string, payload: AdapterPayload): Promise<void> {
    this.#entries.set(this.#key(id), payload);
    return Promise.resolve();
  }

  find(id: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#entries.get(this.#key(id)));
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#search((payload) => payload.uid === uid));
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return Promise.resolve(this.#search((payload) => payload.userCode === userCode));
  }

  consume(id: string): Promise<void> {
    const payload = this.#entries.get(this.#key(id));
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    return Promise.resolve();
  }

  destroy(id: string): Promise<void> {
    this.#entries.delete(this.#key(id));
    return Promise.resolve();
  }

  revokeByGrantId(grantId: string): Promise<void> {
    for (const [key, payload] of this.#entries) if (payload.grantId === grantId) this.#entries.delete(key);
    return Promise.resolve();
  }

  #key(id: string): string {
    return `${this.#model}:${id}`;
  }

  #search(matches: (payload: AdapterPayload) => boolean): AdapterPayload | undefined {
    for (const [key, payload] of this.#entries) if (key.startsWith(`${this.#model}:`) && matches(payload)) return payload;
    return undefined;
  }
}
