import { deadlineIn, keepAlive, onAbort, type Deadline } from '../deadline.js';

/** The caller's signal and a time limit as one signal. */
export interface TimeLimit {
  readonly signal: AbortSignal;
  remaining(): number;
  /** The headers are there: the limit is lifted, while the caller's signal still reaches the body for as long as anyone may read it. */
  lift(response: Response): void;
  /** Nothing will come: everything is let go. */
  drop(): void;
}

/** Once nobody can read a body any more, its caller's signal need not know of it. */
const unreachable = new FinalizationRegistry<() => void>((letGo) => { letGo(); });

/** One controller that both abort: `AbortSignal.any` may lose what it was made of before that fires. */
export function timeLimit(milliseconds: number, signal: AbortSignal | undefined): TimeLimit {
  const deadline: Deadline = deadlineIn(milliseconds, `No response within ${milliseconds} ms (option \`timeout\` of createFetch)`);
  // A caller waits, so the process has to.
  const letProcessEnd = keepAlive();
  const controller = new AbortController();
  const onDeadline = (): void => { controller.abort(deadline.signal.reason); };
  const forward = (): void => { controller.abort(signal?.reason); };
  deadline.signal.addEventListener('abort', onDeadline);
  if (signal?.aborted === true) forward();
  else if (signal !== undefined) onAbort(signal, forward);
  const letGo = (): void => { signal?.removeEventListener('abort', forward); };
  const end = (): void => {
    letProcessEnd();
    deadline.clear();
    deadline.signal.removeEventListener('abort', onDeadline);
  };
  return {
    signal: controller.signal,
    remaining: () => deadline.remaining(),
    lift({ body }) {
      end();
      // A stub's response may have any body.
      if (typeof body === 'object' && body !== null) unreachable.register(body, letGo);
      else letGo();
    },
    drop() {
      end();
      letGo();
    },
  };
}
