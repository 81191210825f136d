import { createTokenManager, type Dialect, type Session, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { ManualClock } from './clock.js';
import { listenOnLoopback, LoopbackServer } from './loopback-server.js';
import type { ServerResponse } from 'node:http';
import { give, type Answer } from './answers.js';
import { SECRET } from './peculiar-run.js';
import type { ReceivedRequest } from './received-request.js';
import { tokenRequest, type ReceivedTokenRequest } from './token-request.js';
import { REDIRECT_URI } from './web-client.js';

type Answering = (request: ReceivedTokenRequest) => Answer;

/** A token endpoint at every path, whose answer a test sets as it goes. */
export class ScriptedEndpoint extends LoopbackServer {
  readonly asked: ReceivedTokenRequest[] = [];
  answers: Answering = () => ({ json: { access_token: `at-${this.asked.length}`, token_type: 'Bearer', expires_in: 3600, refresh_token: `rt-${this.asked.length}` } });

  protected override async answer(request: ReceivedRequest, response: ServerResponse): Promise<void> {
    const asked = tokenRequest(request);
    this.asked.push(asked);
    await give(this.answers(asked), { response, otherwise: () => Promise.reject(new Error('there is nothing else')) });
  }
}

export async function startEndpoint(): Promise<ScriptedEndpoint> {
  return new ScriptedEndpoint(await listenOnLoopback());
}

export interface PeculiarOptions extends Partial<Omit<TokenManagerOptions, 'clock'>> {
  readonly clock?: ManualClock;
}

export function peculiarManager({ origin }: LoopbackServer, dialect: Dialect, { clock = new ManualClock(), ...options }: PeculiarOptions = {}): { readonly tokens: TokenManager; readonly clock: ManualClock } {
  const tokens = createTokenManager({
    server: { authorization_endpoint: `${origin}/authorize`, token_endpoint: `${origin}/token` },
    clientId: 'app',
    ...(options.clientAuthentication === undefined && { clientSecret: SECRET }),
    clock,
    retry: { limit: 0 },
    allowInsecureRequests: true,
    dialect,
    ...options,
  });
  return { tokens, clock };
}

/** A login whose callback carries these parameters as well. */
export async function begin(tokens: TokenManager, parameters: Record<string, string> = {}): Promise<Session> {
  const { state, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'a' });
  return (await tokens.completeLogin(`?${new URLSearchParams({ code: 'code-1', state, ...parameters }).toString()}`, transaction)).session;
}
