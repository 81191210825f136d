/** What goes over the channel between the benchmark and its child processes. */
export type ToChild = { readonly id: number; readonly command: string; readonly argument: unknown };

export type FromChild =
  | { readonly type: 'ready'; readonly value: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'progress'; readonly line: string }
  | { readonly type: 'result'; readonly value: unknown };

export function tellParent(message: FromChild): void {
  process.send?.(message);
}

/** A child never outlives the benchmark, however that ends. */
export function endWithParent(): void {
  process.on('disconnect', () => {
    process.exit();
  });
}
