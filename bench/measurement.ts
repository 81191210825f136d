/** What a measurement hands to the report: figures as text, formatted where they were measured. */
export interface Result {
  readonly title: string;
  /** One sentence: how it was measured. */
  readonly method: string;
  readonly table: Table;
  readonly targets: readonly Target[];
  /** What a reader must know to judge the figures. */
  readonly remarks?: readonly string[];
}

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Target {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  readonly reached: boolean;
}

/** Runs in a process of its own. `progress` shows a line while it works. */
export type Measurement = (progress: (line: string) => void) => Promise<Result>;
