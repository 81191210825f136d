import { LEASE_MS } from './settings.js';

/** Milliseconds since the epoch: all processes are on one machine. */
export type Moment = number;

export interface Span {
  readonly from: Moment;
  readonly to: Moment;
}

/**
 * What became of a refresh, as the authorization server knows it. `reuse`: the refresh token came back after its time, and the grant is dead by it.
 * `refused`: of a grant that was dead already. `nothing`: the server did nothing.
 */
export type RefreshOutcome = 'rotated' | 'reuse' | 'refused' | 'nothing';

/** `answered`: written whole, while the client was there. `given up`: the client was gone before. The others are faults. */
export type AnswerFate = 'under way' | 'answered' | 'given up' | 'lost' | 'late' | '503';

export interface Refresh {
  /** Of the process that sent it. */
  readonly process: string;
  readonly user: string;
  readonly presented: string;
  readonly arrivedAt: Moment;
  outcome: RefreshOutcome;
  /** The refresh token that came of it. */
  issued?: string;
  fate: AnswerFate;
  /** When the answer was written, or the connection gone. */
  settledAt?: Moment;
}

/** A worker, from its start to its end. The next one in its place has another name. */
export interface ProcessLife {
  readonly name: string;
  readonly startedAt: Moment;
  /** When it began to ask for tokens. */
  readyAt?: Moment;
  killedAt?: Moment;
  /** SIGSTOP to SIGCONT; the last may not have ended. */
  readonly stops: { readonly from: Moment; to?: Moment }[];
  /** When its event loop stood still, as it noticed afterwards: on a busy machine a process may not get to run. */
  readonly stalls: Span[];
}

/** The lock of a session in a worker's hands. */
export interface Lease {
  readonly process: string;
  readonly user: string;
  readonly acquiredAt: Moment;
  /** When it runs out by itself. */
  until: Moment;
  releasedAt?: Moment;
}

/** An access token that somebody got, by the refresh token that was issued with it. */
export interface HandOut {
  readonly process: string;
  readonly user: string;
  readonly issued: string;
  readonly at: Moment;
}

/** Something of a session that a worker has stored. */
export interface Write {
  readonly process: string;
  readonly user: string;
  readonly at: Moment;
}

/** A worker says that a session is over. */
export interface ReportedEnd {
  readonly process: string;
  readonly user: string;
  /** As the error has it: a refresh was sent whose outcome nobody knows. */
  readonly ambiguous: boolean;
  readonly message: string;
  readonly at: Moment;
}

export interface Outage extends Span {
  readonly of: 'store' | 'store, connections broken' | 'authorization server';
}

/** All that was seen of a campaign. The judgement reads nothing else. */
export class Journal {
  readonly refreshes: Refresh[] = [];
  readonly processes: ProcessLife[] = [];
  readonly leases: Lease[] = [];
  readonly handOuts: HandOut[] = [];
  readonly writes: Write[] = [];
  readonly ends: ReportedEnd[] = [];
  readonly outages: Outage[] = [];
  /** One for each refresh that arrived while another with the same refresh token was being answered. */
  readonly doubleUses: { readonly first: Refresh; readonly second: Refresh }[] = [];
  /** Milliseconds for which a server still takes a refresh token after it was replaced, by user. */
  readonly graces: Map<string, number> = new Map<string, number>();

  /** By `acquire`, or by `renew`; for as long as the library promises, whatever it asks for. */
  leased(process: string, user: string, at: Moment): void {
    const held = this.#lastLease(process, user);
    const until = at + LEASE_MS;
    if (held !== undefined && held.releasedAt === undefined) held.until = until;
    else this.leases.push({ process, user, acquiredAt: at, until });
  }

  released(process: string, user: string, at: Moment): void {
    const held = this.#lastLease(process, user);
    if (held !== undefined) held.releasedAt ??= at;
  }

  #lastLease(process: string, user: string): Lease | undefined {
    return this.leases.findLast((lease) => lease.process === process && lease.user === user);
  }
}

/** Which of its grant's refresh tokens this is: `user-7.3` is the third. */
export function issueNumber(refreshToken: string): number {
  return Number(refreshToken.split('.').at(-1));
}
