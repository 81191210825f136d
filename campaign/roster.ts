import type { Crew } from './crew.js';
import type { Journal } from './journal.js';
import type { SignedIn } from './protocol.js';
import type { WorkerProcess } from './worker-process.js';

/** Milliseconds after which a login is begun anew, by another user: its worker may be gone. */
const LOGIN_PATIENCE_MS = 6_000;

/** The users who are signed in. One whose session is over is followed by another, so that the load stays. */
export class Roster {
  readonly #journal: Journal;
  readonly #crew: Crew;
  /** Milliseconds of grace that the next grants get, in turn. */
  readonly #graces: readonly number[];
  readonly #alive = new Map<string, SignedIn>();
  readonly #signingIn = new Map<string, NodeJS.Timeout>();
  /** Why somebody could not sign in. */
  lastFailure = '';
  #users = 0;
  #begun = 0;

  constructor(journal: Journal, crew: Crew, graces: readonly number[]) {
    this.#journal = journal;
    this.#crew = crew;
    this.#graces = graces;
  }

  get alive(): readonly string[] {
    return [...this.#alive.keys()];
  }

  /** Sessions that there ever were. */
  get begun(): number {
    return this.#begun;
  }

  signInNext(graceMs: number = this.#graces[this.#users % this.#graces.length] ?? 0): void {
    this.#users += 1;
    const user = `user-${this.#users}`;
    this.#journal.graces.set(user, graceMs);
    this.#signingIn.set(user, setTimeout(() => { this.failedToSignIn(user, 'no answer'); }, LOGIN_PATIENCE_MS));
    this.#crew.pick(Math.random())?.tell({ type: 'sign in', user, graceMs });
  }

  /** A login that came too late is nobody's. */
  signedIn(signedIn: SignedIn): void {
    if (!this.#isWaitedFor(signedIn.user)) return;
    this.#begun += 1;
    this.#alive.set(signedIn.user, signedIn);
    this.#crew.tellAll({ type: 'use', sessions: [signedIn] });
  }

  failedToSignIn(user: string, message: string): void {
    this.lastFailure = message;
    if (this.#isWaitedFor(user)) this.signInNext(this.#journal.graces.get(user));
  }

  welcome(worker: WorkerProcess): void {
    worker.tell({ type: 'use', sessions: [...this.#alive.values()] });
  }

  over(user: string): void {
    if (!this.#alive.delete(user)) return;
    this.#crew.tellAll({ type: 'drop', user });
    this.signInNext(this.#journal.graces.get(user));
  }

  close(): void {
    for (const timer of this.#signingIn.values()) clearTimeout(timer);
    this.#signingIn.clear();
  }

  #isWaitedFor(user: string): boolean {
    clearTimeout(this.#signingIn.get(user));
    return this.#signingIn.delete(user);
  }
}
