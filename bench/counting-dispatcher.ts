import { Agent, type Dispatcher } from 'undici';

/** An Agent that notes when each request was sent to it, so that attempts at a server that is down count too. */
export function countingDispatcher(): { dispatcher: Dispatcher; attempts: readonly number[] } {
  const attempts: number[] = [];
  const dispatcher = new Agent().compose((dispatch) => (options, handler) => {
    attempts.push(Date.now());
    return dispatch(options, handler);
  });
  return { dispatcher, attempts };
}
