/** Figures as a reader wants them: three digits that count. */
export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function markdown({ columns, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

export function figure(value: number): string {
  return value < 0.0005 ? '0' : value.toLocaleString('en-US', { maximumSignificantDigits: value < 10 ? 2 : 3 });
}

export function percent(share: number): string {
  return `${figure(share * 100)} %`;
}
