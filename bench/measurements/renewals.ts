import { count, milliseconds, percentile } from '../figures.js';
import type { PacedCalls, PacedCallsLog } from '../jobs/paced-calls.js';
import type { Measurement } from '../measurement.js';
import { runJob } from '../processes/run-job.js';
import { startApi, startTokenEndpoint } from '../servers/start.js';

const seconds = 25;
const perSecond = 200;
const delay = 300;
const slowMs = 100;
const shortLifetime = 5;

const renewals: Measurement = async (progress) => {
  progress(`${seconds} s at ${perSecond} calls/s, twice side by side`);
  const [api, tokens] = await Promise.all([startApi(), startTokenEndpoint()]);
  const run = async (lifetime: number): Promise<PacedCallsLog> => {
    const argument: PacedCalls = { api: api.origin, tokenEndpoint: tokens.url({ lifetime, delay }), perSecond, seconds };
    return (await runJob(new URL('../jobs/paced-calls.ts', import.meta.url), argument)) as PacedCallsLog;
  };
  const [short, long] = await Promise.all([run(shortLifetime), run(3600)]);
  await Promise.all([api.stop(), tokens.stop()]);
  const [shortSlow, longSlow] = [slowCalls(short), slowCalls(long)];
  const lifetimes = seconds / shortLifetime;
  // A token is renewed when a fifth to three tenths of its lifetime is left, so seven tenths of a lifetime apart at the least.
  const most = Math.ceil(lifetimes / 0.7) + 1;
  const requests = short.tokenRequests.length;
  return {
    title: 'Calls around renewals',
    method: `${perSecond} calls/s for ${seconds} s to an API that refuses expired tokens; the token endpoint takes ${delay} ms; one process with tokens of ${shortLifetime} s and one with tokens of an hour, at the same time; a call's time counts from when it was due, the first token excluded.`,
    table: {
      columns: ['tokens of', 'calls', `slower than ${slowMs} ms`, 'slowest', '99.9th percentile', 'median', 'failed', 'token requests'],
      rows: [row(`${shortLifetime} s`, short), row('1 h', long)],
    },
    targets: [
      { what: 'slow calls around renewals, against none to renew', target: `<= ${longSlow}`, measured: count(shortSlow), reached: shortSlow <= longSlow && failedCalls(short) === 0 },
      { what: `token requests in ${lifetimes} lifetimes and the first`, target: `about one each (${lifetimes} to ${most})`, measured: count(requests), reached: requests >= lifetimes && requests <= most },
    ],
  };
};

function slowCalls({ calls }: PacedCallsLog): number {
  return calls.filter((call) => call.milliseconds > slowMs).length;
}

function failedCalls({ calls }: PacedCallsLog): number {
  return calls.filter(({ outcome }) => outcome !== 200).length;
}

function row(name: string, log: PacedCallsLog): string[] {
  const times = log.calls.map((call) => call.milliseconds);
  return [
    name, count(times.length), count(slowCalls(log)), milliseconds(Math.max(...times)), milliseconds(percentile(times, 0.999)),
    milliseconds(percentile(times, 0.5)), count(failedCalls(log)), count(log.tokenRequests.length),
  ];
}

export default renewals;
