import { once } from 'node:events';
import { connect } from '../daemon/daemon.js';
import { daemonScenes } from './daemon-scenes.js';
import { loginScenes } from './login-scenes.js';
import type { Scene } from './scene.js';
import { Servers, TOKEN_ENDPOINT_DELAY_MS } from './servers.js';
import { Stage } from './stage.js';
import { Terminal, type Claim } from './terminal.js';
import { daemonTotals, duration, MAX_DURATION_MS } from './totals.js';
import { WebBackend } from './web-backend.js';

const INTERRUPTED = Symbol('interrupted');

const terminal = new Terminal(process.stdout, process.env);

/** Aborts when the demo has to end before its end: on Ctrl-C, or with the error that ended it. */
const over = new AbortController();
const fail = (error: unknown): void => { over.abort(error); };

function introduce(): void {
  terminal.title('grantkeeper: a daemon, a web backend, and tokens that live 5 seconds');
  terminal.line(`   ${daemonScenes.length + loginScenes.length} scenes, about 40 seconds, nothing leaves this machine. Every figure is measured,`);
  terminal.line('   and the exit code says whether all of them are as claimed.');
  terminal.line();
}

function introduceServers({ issuer, apiUrl }: Servers): void {
  terminal.line(`   authorization server   ${issuer}   oidc-provider; a token takes ${TOKEN_ENDPOINT_DELAY_MS} ms`);
  terminal.line(`   protected API          ${apiUrl}   checks every JWT by the JWKS`);
  terminal.line('   daemon                 this process             examples/daemon/daemon.ts');
  terminal.line('   web backend            this process             examples/demo/web-backend.ts');
}

/** The daemon of the example, as it connects and polls, and a web backend beside it. */
function createStage(servers: Servers): Stage {
  const { clientId, clientSecret } = servers.config;
  const daemon = connect({ issuer: servers.issuer, clientId, clientSecret, apiUrl: servers.apiUrl, allowInsecureRequests: true });
  return new Stage(terminal, { servers, daemon, backend: new WebBackend(servers) }, fail);
}

async function play(stage: Stage): Promise<Claim[]> {
  const ofDaemon = await playScenes(daemonScenes, 1, stage);
  stage.stopPolling();
  const totals = daemonTotals(await stage.figures());
  terminal.title('The daemon stops here; from now on a web backend, whose users sign in');
  const ofLogins = await playScenes(loginScenes, daemonScenes.length + 1, stage);
  return [...totals, ...ofDaemon, ...ofLogins, duration()];
}

async function playScenes(scenes: readonly Scene[], firstNumber: number, stage: Stage): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const [index, { title, about, act }] of scenes.entries()) {
    terminal.heading(firstNumber + index, title, about);
    const outcome = await act(stage);
    terminal.outcome(outcome.holds && outcome.claims.every(({ holds }) => holds), outcome.summary);
    claims.push(...outcome.claims);
  }
  return claims;
}

function conclude(claims: Claim[]): boolean {
  const wrong = claims.filter(({ holds }) => !holds).length;
  terminal.title('What was claimed, and what was measured');
  terminal.table(claims);
  terminal.line();
  terminal.outcome(wrong === 0, wrong === 0 ? `all ${claims.length} claims hold` : `${wrong} of ${claims.length} claims do not hold`);
  return wrong === 0;
}

/** Rejects as soon as the demo has to end before its end. */
async function failure(): Promise<never> {
  if (!over.signal.aborted) await once(over.signal, 'abort');
  throw over.signal.reason;
}

async function demo(): Promise<boolean> {
  introduce();
  terminal.status(() => 'starting both servers');
  const servers = await Promise.race([Servers.start(fail), failure()]);
  const stage = createStage(servers);
  try {
    introduceServers(servers);
    terminal.status(() => stage.status());
    const claims = await Promise.race([play(stage), failure()]);
    terminal.status(undefined);
    return conclude(claims);
  } finally {
    terminal.status(undefined);
    stage.stopPolling();
    await Promise.all([stage.daemonTokens.manager.close(), stage.backendTokens.manager.close(), servers.stop()]);
  }
}

setTimeout(() => { fail(new Error(`The demo has not ended after ${MAX_DURATION_MS / 1_000} s`)); }, MAX_DURATION_MS).unref();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { fail(INTERRUPTED); });
try {
  process.exitCode = await demo() ? 0 : 1;
} catch (error) {
  terminal.status(undefined);
  if (error !== INTERRUPTED) console.error(error);
  // Scenes may be waiting still; the servers end when their channel to this process closes.
  process.exit(error === INTERRUPTED ? 130 : 1);
}
