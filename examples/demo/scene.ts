import type { Stage } from './stage.js';
import type { Claim } from './terminal.js';

export interface Scene {
  title: string;
  about: string;
  act: (stage: Stage) => Promise<Outcome>;
}

export interface Outcome {
  /** What came of the scene, in one line. */
  summary: string;
  /** Whether the summary is as it should be; the claims come on top. */
  holds: boolean;
  claims: Claim[];
}
