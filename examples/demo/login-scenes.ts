import { OAuthError } from 'grantkeeper';
import { callAtOnce } from './calls.js';
import { between } from './figures.js';
import type { Scene } from './scene.js';
import { REFRESH_GRACE_MS } from './servers.js';
import type { Stage } from './stage.js';
import { count, counted, seconds } from './terminal.js';

const USER = 'Robin';
const CALLS = 100;

const login: Scene = {
  title: 'A login',
  about: 'A script with cookies plays the browser: it fills in the login form, allows what\nis asked for, and loads the callback twice at once, as a double click does.',
  async act(stage) {
    const before = await stage.figures();
    const callback = await stage.backend.signIn(USER);
    const loads = await Promise.allSettled([callback(), callback()]);
    const others = loads.filter((load) => load.status === 'rejected').map(({ reason }) => reason instanceof OAuthError ? reason.code : String(reason));
    const name = String((await stage.backend.session.info())?.claims?.['name']);
    const [answer] = await callAtOnce(stage.traffic.counted(stage.backend.api), 1);
    const seen = between(before, await stage.figures());
    return {
      summary: `${name} is signed in, the API answers ${String(answer)}; once more: ${others.join()}`,
      holds: name === USER && answer === 200 && others.join() === 'callback_already_used',
      claims: [
        { claim: 'code exchanges for a callback that came twice', measured: count(seen.tokenRequests), holds: seen.tokenRequests === 1 },
      ],
    };
  },
};

const expiry: Scene = {
  title: `${CALLS} calls at the moment of expiry`,
  about: 'Nobody calls until the access token has expired, then everybody does. All of them\nshare one refresh, which uses the refresh token up and brings the next one.',
  async act(stage) {
    const before = await stage.figures();
    await callAfterExpiry(stage, stage.traffic.counted(stage.backend.api));
    const seen = between(before, await stage.figures());
    return {
      summary: `${counted(seen.calls, 'call')}, ${counted(seen.tokenRequests, 'refresh request')}, ${counted(seen.failures, 'failure')}`,
      holds: seen.calls === CALLS && seen.failures === 0,
      claims: [
        { claim: `refresh requests for ${CALLS} calls at expiry`, measured: count(seen.tokenRequests), holds: seen.tokenRequests === 1 },
        { claim: 'refresh tokens used up by them', measured: count(seen.refreshTokensReplaced), holds: seen.refreshTokensReplaced === 1 },
      ],
    };
  },
};

const lostAnswer: Scene = {
  title: 'A lost answer',
  about: `The authorization server replaces the refresh token, and the answer with the new\none is lost. It takes the old one for ${seconds(REFRESH_GRACE_MS)} more, as the client was told. (The\ngrace is played by this server's storage: oidc-provider itself has none.)`,
  async act(stage) {
    const before = await stage.figures();
    await stage.servers.loseNextAnswer();
    await callAfterExpiry(stage, stage.traffic.counted(stage.backend.api));
    const seen = between(before, await stage.figures());
    const info = await stage.backend.session.info();
    return {
      summary: `${counted(seen.calls, 'call')}, ${counted(seen.failures, 'failure')}; the session ${info === undefined ? 'is gone' : 'lives'}`,
      holds: info !== undefined,
      claims: [
        { claim: 'refresh requests, the one without an answer included', measured: count(seen.tokenRequests), holds: seen.tokenRequests === 2 },
        { claim: 'failed calls while an answer was lost', measured: count(seen.failures), holds: seen.calls === CALLS && seen.failures === 0 },
      ],
    };
  },
};

const endedGrant: Scene = {
  title: 'The grant is ended',
  about: 'An administrator of the authorization server ends it. Nobody tells the backend,\nwhich learns it from the next refresh: then every call says so, and costs nothing.',
  async act(stage) {
    await stage.servers.endGrant();
    stage.event('authorization server', `${USER}'s grant is over`);
    const before = await stage.figures();
    const outcomes = await callAfterExpiry(stage, stage.backend.api);
    const refused = between(before, await stage.figures());
    const later = await callAtOnce(stage.backend.api, CALLS);
    const seen = between(before, await stage.figures());
    const [reason] = stage.backendTokens.ends;

    await (await stage.backend.signIn(USER))();
    const [answer] = await callAtOnce(stage.traffic.counted(stage.backend.api), 1);
    const clean = [...outcomes, ...later].filter((outcome) => outcome === 'reauthorization_required').length;
    return {
      summary: `the session ended as "${reason ?? 'nothing'}"; ${USER} signs in again, the API answers ${String(answer)}`,
      holds: stage.backendTokens.ends.length === 1 && reason === 'refused' && answer === 200,
      claims: [
        { claim: `calls that ended in reauthorization_required, of ${2 * CALLS}`, measured: count(clean), holds: clean === 2 * CALLS },
        { claim: `refresh requests for the first ${CALLS} of them`, measured: count(refused.tokenRequests), holds: refused.tokenRequests === 1 },
        { claim: `refresh requests for the other ${CALLS}`, measured: count(seen.tokenRequests - refused.tokenRequests), holds: seen.tokenRequests === refused.tokenRequests },
      ],
    };
  },
};

async function callAfterExpiry(stage: Stage, api: typeof fetch): Promise<(number | string)[]> {
  const { backendTokens } = stage;
  stage.event('web backend', `waits until token ${backendTokens.acquired.length} has expired`);
  await backendTokens.expiry();
  stage.event('web backend', `${CALLS} calls at once`);
  return callAtOnce(api, CALLS);
}

export const loginScenes: readonly Scene[] = [login, expiry, lostAnswer, endedGrant];
