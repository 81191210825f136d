/** The calls of a fetch or several: they're counted, and can be held for a moment so that every process is read at the same state. */
export class Traffic {
  /** Calls that have been answered, whatever the answer. */
  calls = 0;
  /** Calls that did not end with 200. */
  failures = 0;

  #inFlight = 0;
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;
  #idle: () => void = () => undefined;

  counted(api: typeof globalThis.fetch): typeof globalThis.fetch {
    return async (...parameters) => {
      await this.#gate;
      this.#inFlight += 1;
      let status = 0;
      try {
        const response = await api(...parameters);
        status = response.status;
        return response;
      } finally {
        this.calls += 1;
        if (status !== 200) this.failures += 1;
        this.#inFlight -= 1;
        if (this.#inFlight === 0) this.#idle();
      }
    };
  }

  /** Lets the calls that are under way end, runs `read`, and lets the waiting ones go. */
  async hold<T>(read: () => Promise<T>): Promise<T> {
    this.#gate = new Promise((resolve) => { this.#open = resolve; });
    // Two holds at once would open each other's gate; the scenes follow one another.
    if (this.#inFlight > 0) await new Promise<void>((resolve) => { this.#idle = resolve; });
    try {
      return await read();
    } finally {
      this.#idle = () => undefined;
      this.#open();
    }
  }
}
