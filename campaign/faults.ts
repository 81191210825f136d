import { seeded } from '../bench/simulation/random.js';
import { LEASE_MS, TIMEOUT_MS } from './settings.js';

/** What happens to the next refresh that reaches the authorization server, or to who sent it. */
export const refreshFaults = [
  'sender killed when its refresh arrived',
  'sender killed when its answer was written',
  'sender killed milliseconds after its answer',
  'lease owner stopped for less than its lease',
  'lease owner stopped for more than its lease',
  'request lost',
  'answer lost',
  'answer later than the timeout',
  '503 instead of rotating',
  '503 after rotating',
] as const;

/** What happens by itself. */
export const worldFaults = ['process killed', 'store frozen', 'store killed and restarted', 'connections refused'] as const;

export type RefreshFaultKind = (typeof refreshFaults)[number];
export type WorldFaultKind = (typeof worldFaults)[number];
export type FaultKind = RefreshFaultKind | WorldFaultKind;

export interface Fault {
  /** Milliseconds since the first session was there. */
  readonly at: number;
  readonly kind: FaultKind;
  /** Milliseconds: of what lasts, or between the answer and what follows it. */
  readonly lasts: number;
  /** From 0 to 1, where there's a choice: whom it hits, or when. */
  readonly pick: number;
}

/** How often one is chosen, of all weights together; and how long it lasts, in milliseconds. */
const habits: Readonly<Record<FaultKind, { readonly weight: number; readonly from: number; readonly to: number }>> = {
  'sender killed when its refresh arrived': { weight: 6, from: 0, to: 0 },
  'sender killed when its answer was written': { weight: 4, from: 0, to: 0 },
  'sender killed milliseconds after its answer': { weight: 7, from: 0, to: 15 },
  'lease owner stopped for less than its lease': { weight: 9, from: 50, to: 0.85 * LEASE_MS },
  'lease owner stopped for more than its lease': { weight: 4, from: LEASE_MS + 200, to: LEASE_MS + 1_500 },
  'request lost': { weight: 10, from: 0, to: 0 },
  'answer lost': { weight: 15, from: 0, to: 0 },
  'answer later than the timeout': { weight: 8, from: TIMEOUT_MS + 100, to: TIMEOUT_MS + 700 },
  '503 instead of rotating': { weight: 14, from: 0, to: 0 },
  '503 after rotating': { weight: 10, from: 0, to: 0 },
  'process killed': { weight: 6, from: 0, to: 0 },
  'store frozen': { weight: 3, from: 200, to: 3_000 },
  'store killed and restarted': { weight: 2, from: 0, to: 0 },
  'connections refused': { weight: 2, from: 200, to: 1_500 },
};

/** Milliseconds between two faults, on average. */
const MEAN_GAP_MS = 480;

/** All faults of a campaign, in their order: kinds, times and targets follow from the seed alone. */
export function schedule(seed: number, count: number): Fault[] {
  const random = seeded(seed);
  const between = (from: number, to: number): number => Math.round(from + random() * (to - from));
  let at = 1_000;
  return Array.from({ length: count }, () => {
    at += between(0, 2 * MEAN_GAP_MS);
    const kind = chosen(random());
    const { from, to } = habits[kind];
    return { at, kind, lasts: between(from, to), pick: random() };
  });
}

export function isRefreshFault(kind: FaultKind): kind is RefreshFaultKind {
  return (refreshFaults as readonly FaultKind[]).includes(kind);
}

function chosen(part: number): FaultKind {
  const kinds: readonly FaultKind[] = [...refreshFaults, ...worldFaults];
  let left = part * kinds.reduce((sum, kind) => sum + habits[kind].weight, 0);
  return kinds.find((kind) => (left -= habits[kind].weight) < 0) ?? 'process killed';
}
