import type { IssuedRefreshToken, ReuseDetectingGrant } from './reuse-detecting-grant.js';
import type { StoreFault } from './simulated-network.js';
import type { VirtualTime } from './virtual-time.js';

/** What is looked at of a session's record. */
export interface StoredRecord {
  readonly fence: number;
  readonly ended?: string;
  readonly refreshToken?: string;
  readonly tokens?: Readonly<Record<string, { readonly obtainedAt: number; readonly lifetime: number }>>;
}

/** One send of a refresh token, and what came back: nothing, or something that tells what became of the token, or something that doesn't. */
export interface Departure {
  readonly at: number;
  answer: 'none' | 'not sent' | 'unclear' | 'clear';
  isUnderWay: boolean;
}

/** What must never be, held against every step of the processes that share a grant. A process is whatever object stands for it. */
export class RotationChecks {
  readonly violations: string[] = [];
  readonly #grant: ReuseDetectingGrant;
  readonly #time: VirtualTime;
  readonly #graceMs: number;
  /** Milliseconds after which a request has arrived or never will. */
  readonly #timeout: number;
  readonly #departures = new Map<string, Departure[]>();
  readonly #writers = new Map<number, object>();
  /** When each process was last given the lock, and when the store had each refresh token, in the order of what happened. */
  readonly #acquired = new Map<object, number>();
  readonly #durable = new Map<string, number>();
  #order = 0;
  readonly #mishaps = new Map<string, number>();

  constructor(grant: ReuseDetectingGrant, time: VirtualTime, { graceMs, timeout }: { graceMs: number; timeout: number }) {
    this.#grant = grant;
    this.#time = time;
    this.#graceMs = graceMs;
    this.#timeout = timeout;
  }

  fail(violation: string): void {
    this.violations.push(violation);
  }

  /** Something went wrong for this process: what it was given, and no store has, may be lost by it; and what it noted may not be what it did. */
  mishap(process: object, what: string): void {
    for (const token of this.#grant.issued) {
      if (token.to === process && !token.isDurable) token.misfortune ??= what;
      this.#mishaps.set(token.value, (this.#mishaps.get(token.value) ?? 0) + 1);
    }
  }

  /**
   * The store is about to be asked to take a record, and fails, or seems to, as `fault` says. It's asked twice within its deadline: a single failure is
   * no reason to lose anything, unless it took time.
   */
  asksStore(process: object, { refreshToken }: StoredRecord, fault: StoreFault): void {
    if (refreshToken === undefined) return;
    const token = this.#grant.find(refreshToken);
    const now = this.#time.now();
    const isSecond = token.refusedAt !== undefined && (fault !== 'none' || now > token.refusedAt);
    if (isSecond || fault === 'hangs' || fault === 'hangs after' || fault === 'late' || fault === 'very late') this.mishap(process, 'the store did not take it');
    if (fault !== 'none') token.refusedAt ??= now;
  }

  /** A refresh token is on its way once at a time, and without a grace twice in all unless an answer says what became of it. */
  departs(refreshToken: string): Departure {
    const now = this.#time.now();
    const all = [...this.#departures.values()].flat();
    if (all.some(({ isUnderWay, at }) => isUnderWay && now - at < this.#timeout)) this.fail(`${refreshToken} was sent while another request was on its way`);
    const before = this.#sendsOf(refreshToken);
    const first = before[0]?.at ?? now;
    const isWithinGrace = ({ at }: { at: number }): boolean => at - first < this.#graceMs;
    const unanswered = before.filter(({ answer }) => answer === 'none');
    const counted = unanswered.filter((departure) => !isWithinGrace(departure)).length + (unanswered.some(isWithinGrace) ? 1 : 0);
    if (!isWithinGrace({ at: now }) && counted >= 2) this.fail(`${refreshToken} was sent a third time`);
    const departure: Departure = { at: now, answer: 'none', isUnderWay: true };
    this.#departures.set(refreshToken, [...before, departure]);
    return departure;
  }

  acquires(process: object): void {
    this.#order += 1;
    this.#acquired.set(process, this.#order);
  }

  /** A token that comes back after its time kills the grant: so it may only where whoever sends it could not know of a newer one. */
  arrives(refreshToken: string, process: object): void {
    const { newest } = this.#grant;
    if (!this.#grant.isAlive || this.#grant.accepts(refreshToken)) return;
    if ((this.#durable.get(newest.value) ?? Infinity) < (this.#acquired.get(process) ?? 0)) this.fail(`${refreshToken} was used again, though the store has had ${newest.value}`);
    else if (newest.isDelivered && newest.to === process) this.fail(`${refreshToken} was used again by who had been given ${newest.value}`);
    else if (newest.misfortune === undefined) this.fail(`${refreshToken} was used again, though nothing had happened to ${newest.value}`);
  }

  /** What counts is in slots, each its fence's owner's own, and in the end that was asked for; the rest is a copy for readers. */
  writes(process: object, { slot, isEnd }: { slot: number | undefined; isEnd: boolean }, before: StoredRecord | undefined, record: StoredRecord): void {
    this.#order += 1;
    if (isEnd && record.ended === undefined) this.fail('something was written over the end of the session');
    if (slot === undefined) return;
    if (record.fence !== slot) this.fail(`fence ${record.fence} was written into the slot of ${slot}`);
    if ((this.#writers.get(slot) ?? process) !== process) this.fail(`two processes wrote under fence ${slot}`);
    this.#writers.set(slot, process);
    if (before?.ended !== undefined && record.ended === undefined) this.fail('something was written over the end of the session');
    if (before !== undefined && record.ended !== undefined) this.#gaveUp(record.ended, before);
    if (record.refreshToken === undefined) return;
    this.#grant.find(record.refreshToken).isDurable = true;
    if (!this.#durable.has(record.refreshToken)) this.#durable.set(record.refreshToken, this.#order);
  }

  /** Nobody sees an access token before the refresh token that came with it is kept. */
  handsOut(accessToken: string): void {
    const issued: IssuedRefreshToken | undefined = this.#grant.issued.find((token) => token.accessToken === accessToken);
    if (issued === undefined) this.fail(`"${accessToken}" was never issued`);
    else if (!issued.isDurable && issued.misfortune === undefined) this.fail(`${accessToken} was handed out before ${issued.value} was kept`);
  }

  /** A session that the server would still refresh is given up only after two sends that may have gone wrong, and when its access tokens are used up. */
  #gaveUp(reason: string, { refreshToken, tokens = {} }: StoredRecord): void {
    if (refreshToken === undefined || !this.#grant.accepts(refreshToken)) return;
    const unanswered = this.#sendsOf(refreshToken).filter(({ answer }) => answer === 'none').length;
    if (reason !== 'unanswered' || unanswered + (this.#mishaps.get(refreshToken) ?? 0) < 2) this.fail(`the session was given up as ${reason}, though the server takes ${refreshToken}`);
    if (Object.values(tokens).some(({ obtainedAt, lifetime }) => obtainedAt + lifetime > this.#time.now())) this.fail('the session was given up while an access token of it was good');
  }

  #sendsOf(refreshToken: string): Departure[] {
    return (this.#departures.get(refreshToken) ?? []).filter(({ answer }) => answer !== 'not sent');
  }
}
