import { count, decimals, milliseconds } from '../figures.js';
import type { Call, PacedCalls, PacedCallsLog } from '../jobs/paced-calls.js';
import type { Measurement, Target } from '../measurement.js';
import { runJob } from '../processes/run-job.js';
import { startApi, startTokenEndpoint, type Api } from '../servers/start.js';
import type { Outage, TokenEndpointLog } from '../servers/token-endpoint.js';

const perSecond = 200;
const outageMs = 5000;
const slowMs = 100;
const mostTokenRequests = 10;
const recoveryMs = 1000;

interface Scenario { readonly kind: Outage['kind']; readonly lifetime: number; readonly seconds: number }
interface Figures {
  readonly name: string;
  readonly tokenRequests: number;
  readonly withValidToken: Failures;
  readonly withoutValidToken: Failures;
  /** Milliseconds from the end of the outage until no call fails or is slow any more, and until a new token was issued. */
  readonly lastTrouble: number;
  readonly newToken: number;
}
interface Failures { readonly calls: number; readonly failed: number; readonly blocked: number; readonly outcomes: string }

/** Tokens of 30 s outlive an outage that begins when they are due for renewal; tokens of 10 s expire half-way through it. */
const scenarios: readonly Scenario[] = [
  { kind: 'refused', lifetime: 30, seconds: 36 },
  { kind: '503', lifetime: 30, seconds: 36 },
  { kind: 'refused', lifetime: 10, seconds: 24 },
  { kind: '503', lifetime: 10, seconds: 24 },
];

const outage: Measurement = async (progress) => {
  progress('four outages at the same time, 36 s');
  const api = await startApi();
  const figures = await Promise.all(scenarios.map((scenario) => run(scenario, api)));
  await api.stop();
  return {
    title: 'A 5 s outage of the token endpoint',
    method: `${perSecond} calls/s to an API that refuses expired tokens; the outage begins with the first request for a new token, and that request is its first victim: connections are refused, or every answer is a 503; four processes at the same time, each with its own token endpoint; token requests are counted where they leave the client.`,
    table: {
      columns: [
        'outage', 'token requests in it', 'calls with a valid token', 'failed', `slower than ${slowMs} ms`,
        'calls without one', 'failed', `slower than ${slowMs} ms`, 'new token after its end', 'last failed or slow call after its end',
      ],
      rows: figures.map((one) => [
        one.name, count(one.tokenRequests),
        count(one.withValidToken.calls), `${one.withValidToken.failed}${one.withValidToken.outcomes}`, count(one.withValidToken.blocked),
        count(one.withoutValidToken.calls), `${one.withoutValidToken.failed}${one.withoutValidToken.outcomes}`, count(one.withoutValidToken.blocked),
        after(one.newToken), after(one.lastTrouble),
      ]),
    },
    targets: figures.flatMap(targets),
    remarks: ['Calls are counted from the start of the outage to the end of the run. Without a valid token a call can only wait or fail: those are shown, and not judged.'],
  };
};

async function run({ kind, lifetime, seconds }: Scenario, api: Api): Promise<Figures> {
  const tokens = await startTokenEndpoint();
  const argument: PacedCalls = { api: api.origin, tokenEndpoint: tokens.url({ lifetime }), perSecond, seconds };
  const calling = runJob(new URL('../jobs/paced-calls.ts', import.meta.url), argument);
  while ((await tokens.log()).issued.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  await tokens.plan({ kind, milliseconds: outageMs });
  const calls = (await calling) as PacedCallsLog;
  const log = await tokens.log();
  await tokens.stop();
  return evaluate(`${kind === 'refused' ? 'connections refused' : 'answers 503'}, tokens of ${lifetime} s`, calls, log);
}

function evaluate(name: string, { calls, tokenRequests }: PacedCallsLog, log: TokenEndpointLog): Figures {
  const { outageFrom, outageUntil } = log;
  if (!(outageUntil > outageFrom)) throw new Error(`${name}: no outage happened`);
  const affected = calls.filter(({ due }) => due >= outageFrom);
  const lastTrouble = Math.max(outageUntil, ...affected.filter((call) => failed(call) || blocked(call)).map(({ due, milliseconds: time }) => due + time));
  return {
    name,
    // The request that began the outage left a few milliseconds before the endpoint noted it.
    tokenRequests: tokenRequests.filter((time) => time >= outageFrom - 100 && time < outageUntil).length,
    withValidToken: failures(affected.filter(({ tokenValid }) => tokenValid)),
    withoutValidToken: failures(affected.filter(({ tokenValid }) => !tokenValid)),
    lastTrouble: lastTrouble - outageUntil,
    newToken: Math.min(...log.issued.filter((time) => time >= outageUntil)) - outageUntil,
  };
}

function failures(calls: readonly Call[]): Failures {
  const outcomes = [...new Set(calls.filter(failed).map(({ outcome }) => outcome))].join(', ');
  return { calls: calls.length, failed: calls.filter(failed).length, blocked: calls.filter(blocked).length, outcomes: outcomes && ` (${outcomes})` };
}

function failed({ outcome }: Call): boolean {
  return outcome !== 200;
}

function blocked(call: Call): boolean {
  return call.milliseconds > slowMs;
}

function after(time: number): string {
  return time === Infinity ? 'never' : `${decimals(time / 1000)} s`;
}

function targets({ name, tokenRequests, withValidToken, lastTrouble, newToken }: Figures): Target[] {
  const back = Math.max(lastTrouble, newToken);
  return [
    { what: `token requests in an outage: ${name}`, target: `<= ${mostTokenRequests}`, measured: count(tokenRequests), reached: tokenRequests <= mostTokenRequests },
    {
      what: `failed and blocked calls while a token is valid: ${name}`, target: '0 and 0',
      measured: `${withValidToken.failed} and ${withValidToken.blocked}`, reached: withValidToken.failed + withValidToken.blocked === 0,
    },
    { what: `back after the end: ${name}`, target: `<= ${milliseconds(recoveryMs)}`, measured: after(back), reached: back <= recoveryMs },
  ];
}

export default outage;
