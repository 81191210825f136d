import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { deadlineIn } from '../src/deadline.js';
import { eventually } from './support/eventually.js';

/** Keeps the process from doing anything else, as a stop, a long computation or the collection of garbage does. */
function block(milliseconds: number): void {
  const start = performance.now();
  while (performance.now() - start < milliseconds);
}

test('a deadline that passed while the process was stopped lets it read first what has arrived meanwhile', async () => {
  const deadline = deadlineIn(1, 'too late');
  block(100);
  // Timers that are due have run by then, and what has arrived was read.
  await nextTurn();
  await nextTurn();
  expect(deadline.signal.aborted).toBe(false);
  expect(deadline.remaining()).toBeLessThan(0);
  await eventually(() => { expect(deadline.signal.aborted).toBe(true); });
  expect(deadline.signal.reason).toMatchObject({ code: 'timeout', message: 'too late', retryable: true });
});

test('a deadline that was cleared meanwhile never ends anything', async () => {
  const deadline = deadlineIn(1, 'too late');
  block(100);
  await nextTurn();
  await nextTurn();
  deadline.clear();
  const later = deadlineIn(100, 'later');
  await eventually(() => { expect(later.signal.aborted).toBe(true); });
  expect(deadline.signal.aborted).toBe(false);
});
