import { setTimeout as sleep } from 'node:timers/promises';
import { callAtOnce } from './calls.js';
import { between } from './figures.js';
import type { Scene } from './scene.js';
import { TOKEN_LIFETIME_MS } from './servers.js';
import { POLLERS } from './stage.js';
import { count, counted, seconds } from './terminal.js';

const COLD_CALLS = 100;
/** A token must be replaced when less than a tenth of its life is left; renewed ahead means: before that. */
const MUST_REFRESH_MS = TOKEN_LIFETIME_MS / 10;
/** A renewal is due when 1.5 s to 1 s are left, at random; the authorization server is away until after that. */
const BACK_BEFORE_EXPIRY_MS = 950;

const discovery: Scene = {
  title: 'Discovery and the first token',
  about: `${COLD_CALLS} calls start at once, and there is no token yet. Only the issuer is configured:\nits endpoints are discovered, one token is requested, and all calls share it.`,
  async act(stage) {
    const before = await stage.figures();
    await callAtOnce(stage.daemonApi, COLD_CALLS);
    const seen = between(before, await stage.figures());
    return {
      summary: `${counted(seen.calls, 'call')}, ${counted(seen.tokenRequests, 'token request')}, ${counted(seen.failures, 'failure')}`,
      holds: seen.calls === COLD_CALLS && seen.failures === 0,
      claims: [
        { claim: 'discovery requests', measured: count(seen.discoveryRequests), holds: seen.discoveryRequests === 1 },
        { claim: `token requests for the first ${COLD_CALLS} calls`, measured: count(seen.tokenRequests), holds: seen.tokenRequests === 1 },
      ],
    };
  },
};

const handful: Scene = {
  title: 'Thousands of calls on a handful of tokens',
  about: `The daemon starts polling, ${POLLERS} calls at a time, and goes on for four scenes.`,
  async act(stage) {
    const before = await stage.figures();
    stage.startPolling();
    await stage.daemonTokens.nextToken();
    await stage.daemonTokens.nextToken();
    await sleep(300);
    const seen = between(before, await stage.figures());
    const perToken = seen.calls / seen.tokenRequests;
    return {
      summary: `${counted(seen.calls, 'call')}, ${counted(seen.tokenRequests, 'token request')}, ${counted(seen.failures, 'failure')}`,
      holds: seen.failures === 0,
      claims: [
        { claim: 'calls per token request, at least 100', measured: count(Math.floor(perToken)), holds: perToken >= 100 },
      ],
    };
  },
};

const renewal: Scene = {
  title: 'Renewal ahead of expiry',
  about: 'A token is replaced while it is still good, in the background: calls carry the old\none until the new one is there, and none of them waits.',
  async act(stage) {
    const before = await stage.figures();
    const callsBefore = stage.daemonTokens.callsDuringTokenRequests;
    const { predecessorLeftMs: left } = await stage.daemonTokens.nextToken();
    await sleep(300);
    const seen = between(before, await stage.figures());
    const callsMeanwhile = stage.daemonTokens.callsDuringTokenRequests - callsBefore;
    return {
      summary: `${counted(seen.tokenRequests, 'renewal')}, ${counted(callsMeanwhile, 'call')} answered meanwhile, ${counted(seen.failures, 'failure')}`,
      holds: seen.failures === 0,
      claims: [
        { claim: `time left at a renewal, at least ${seconds(MUST_REFRESH_MS)}`, measured: seconds(left), holds: left >= MUST_REFRESH_MS },
        // Each poller may have had a call on its way when the token request began; any further call shows that nobody waits.
        { claim: 'calls answered while the renewal was under way', measured: count(callsMeanwhile), holds: callsMeanwhile > POLLERS },
      ],
    };
  },
};

const revocation: Scene = {
  title: 'A revoked token',
  about: 'The API refuses the token in use from now on. Whoever gets a 401 waits for one new\ntoken, and the call is sent again with it; the daemon sees only the answer.',
  async act(stage) {
    const before = await stage.figures();
    const replaced = stage.daemonTokens.nextToken();
    const token = stage.daemonTokens.acquired.length;
    const off = stage.daemonTokens.manager.on('token-rejected', ({ status }) => {
      off();
      stage.event('daemon', `token ${token} was refused with ${status}`);
    });
    stage.event('API', `revokes token ${token}`);
    await stage.servers.revokeCurrentToken();
    await replaced;
    await sleep(500);
    const seen = between(before, await stage.figures());
    return {
      summary: `${counted(seen.api.refused, 'call')} refused, ${counted(seen.tokenRequests, 'token request')}, ${counted(seen.replays, 'replay')}, ${counted(seen.failures, 'failure')}`,
      holds: seen.failures === 0 && seen.api.refused > 0 && seen.replays === seen.api.refused,
      claims: [
        { claim: 'token requests for the revoked token', measured: count(seen.tokenRequests), holds: seen.tokenRequests === 1 },
      ],
    };
  },
};

const outage: Scene = {
  title: 'The authorization server is stopped',
  about: 'Its process is killed while the token is young, and is away until after the next\nrenewal was due. The token in hand is used on.',
  async act(stage) {
    const { expiresAt } = await stage.daemonTokens.youngToken();
    const before = await stage.figures();
    await stage.servers.killAuthorizationServer();
    const killedAt = performance.now();
    stage.event('authorization server', 'killed');
    await sleep(expiresAt - BACK_BEFORE_EXPIRY_MS - Date.now());
    const renewed = stage.daemonTokens.nextToken();
    const away = between(before, await stage.figures());
    await stage.servers.startReplacement();
    const awayMs = performance.now() - killedAt;
    stage.event('authorization server', `is back after ${seconds(awayMs)}`);
    await renewed;
    await sleep(500);
    const seen = between(before, await stage.figures());
    return {
      summary: `away for ${seconds(awayMs)}: ${counted(away.calls, 'call')} meanwhile, ${counted(seen.failures, 'failure')}`,
      holds: true,
      claims: [
        { claim: 'calls while the authorization server was away', measured: count(away.calls), holds: away.calls > 0 },
        { claim: 'failed calls while it was away, and after', measured: count(seen.failures), holds: seen.failures === 0 },
      ],
    };
  },
};

export const daemonScenes: readonly Scene[] = [discovery, handful, renewal, revocation, outage];
