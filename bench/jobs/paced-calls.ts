/**
 * Calls the API at a steady rate, however long each call takes, and notes how each went. A call's time counts from when it was due.
 * The first token and the first connections are not counted.
 */
import { countingDispatcher } from '../counting-dispatcher.js';
import { manager } from '../client.js';
import { createFetch } from '../grantkeeper.js';
import { job } from '../processes/job.js';

export interface PacedCalls { readonly api: string; readonly tokenEndpoint: string; readonly perSecond: number; readonly seconds: number }
export interface Call {
  /** Epoch milliseconds when the call was due. */
  readonly due: number;
  readonly milliseconds: number;
  /** 200, another status, or the code or name of the error. */
  readonly outcome: number | string;
  /** Whether a token that had been seen to work was unexpired when the call was due. */
  readonly tokenValid: boolean;
}
export interface PacedCallsLog { readonly calls: readonly Call[]; readonly tokenRequests: readonly number[] }

const validityMargin = 5;

await job(async ({ api, tokenEndpoint, perSecond, seconds }: PacedCalls): Promise<PacedCallsLog> => {
  const { dispatcher, attempts } = countingDispatcher();
  const source = manager(tokenEndpoint, { dispatcher }).clientCredentials({ scope: 'invoices:read' });
  const authorized = createFetch(source, { baseUrl: api, retry: false, allowInsecureRequests: true });
  let expiresAt = 0;

  const call = async (): Promise<number | string> => {
    try {
      const response = await authorized('/unexpired');
      await response.text();
      expiresAt = Math.max(expiresAt, Number(response.headers.get('x-token-expires-at') ?? 0));
      return response.status;
    } catch (error) {
      const { code, name } = error as { code?: string; name: string };
      return code ?? name;
    }
  };

  await source.getToken();
  for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 20 }, call));
  const calls: Promise<Call>[] = [];
  const start = performance.now();
  for (let i = 0; i < perSecond * seconds; i++) {
    const due = start + (i * 1000) / perSecond;
    while (performance.now() < due) await new Promise((resolve) => setTimeout(resolve, due - performance.now()));
    const dueEpoch = Date.now() - (performance.now() - due);
    const tokenValid = expiresAt > dueEpoch + validityMargin;
    calls.push(call().then((outcome) => ({ due: dueEpoch, milliseconds: performance.now() - due, outcome, tokenValid })));
  }
  return { calls: await Promise.all(calls), tokenRequests: attempts };
});
