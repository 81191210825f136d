import { elapsedSince, momentOf, type Clock, type Moment } from '../clock.js';
import { deadlineIn, onAbort, sleep, waitFor } from '../deadline.js';
import { className, OAuthError } from '../errors.js';
import type { DecoupledAuthorization, ReceivedTokens } from '../server/authorization-server.js';
import { revokeQuietly } from '../server/revocation.js';
import type { Session } from '../sessions/session.js';
import { callable, checkOptions, having } from '../validation.js';
import { begunSession, type AskedOfLogin } from './begun-session.js';
import { checkedDecoupledFlow } from './checked-decoupled-flow.js';
import type { DecoupledFlow, DecoupledLogin, DecoupledLoginOptions, PendingLogin } from './decoupled-flow.js';
import { asFinal } from './final-failure.js';
import type { LoginContext } from './login.js';
import { PollingPace } from './polling-pace.js';

export interface DecoupledLoginContext extends LoginContext {
  /** Aborted when the manager is closed, with what to say of it. */
  readonly closing: AbortSignal;
  /** The most milliseconds that a server is heard when it asks to wait. */
  readonly maxRetryAfter: number;
  /** Has the manager's `close()` wait for the work. */
  readonly track: <T>(work: Promise<T>) => Promise<T>;
}

/**
 * Begins a login that is completed on another device. Invariants:
 *
 * - The server is asked by one loop, however many callers wait: never sooner than the interval after the answer before, nor when the time is up, when nobody waits, or when the
 *   manager is closed. A request that was sent is always heard out.
 * - Tokens that come are the last thing that is asked for. They become a session that somebody gets, or they are revoked.
 * - What stands for the login at the server is in closures only.
 */
export async function startDecoupledLogin(flow: DecoupledFlow, context: DecoupledLoginContext): Promise<DecoupledLogin> {
  const checked = checkedDecoupledFlow('startDecoupledLogin', flow);
  const { server, serverName, keys, timeout } = context;
  const key = keys.ofNewSession();
  const { signal, clear } = deadlineIn(timeout, `A login could not be begun by ${serverName} within ${timeout} ms (option \`timeout\`)`);
  const authorization = await server.decoupledLogin({ ...checked, key }, signal).finally(clear);
  const { grantType, request: { scope, resource } } = checked;
  const polling = new Polling(authorization, { scope, resource, nonce: undefined, maxAge: undefined, key, grant: grantType }, context);
  const { userCode, verificationUri, verificationUriComplete, interval } = authorization;
  return Object.freeze<DecoupledLogin>({
    ...(userCode !== undefined && { userCode }),
    ...(verificationUri !== undefined && { verificationUri }),
    ...(verificationUriComplete !== undefined && { verificationUriComplete }),
    expiresAt: polling.expiresAt,
    interval,
    completed: async (options = {}) => polling.completed(options),
  });
}

class Polling {
  readonly expiresAt: number;
  readonly #authorization: DecoupledAuthorization;
  readonly #asked: Omit<AskedOfLogin, 'began'>;
  readonly #context: DecoupledLoginContext;
  readonly #pace: PollingPace;
  /** Who waits. */
  readonly #callers = new Set<Pick<DecoupledLoginOptions, 'onPending'>>();
  /** The loop, or how it ended for good. */
  #session: Promise<Session> | undefined;
  /** Ends the pause that the loop is in. */
  #pausing: AbortController | undefined;
  #lastFailure: OAuthError | undefined;
  /** When the server was heard last: who comes later waits for the rest of the interval only. */
  #heard: Moment;

  constructor(authorization: DecoupledAuthorization, asked: Omit<AskedOfLogin, 'began'>, context: DecoupledLoginContext) {
    this.expiresAt = authorization.sentAt.now + authorization.lifetime;
    this.#authorization = authorization;
    this.#asked = asked;
    this.#context = context;
    this.#pace = new PollingPace(authorization.interval, context.maxRetryAfter);
    this.#heard = momentOf(context.clock);
  }

  async completed(options: DecoupledLoginOptions): Promise<{ session: Session }> {
    checkOptions<DecoupledLoginOptions>('completed', options, { signal: having('addEventListener'), onPending: callable });
    const { signal, onPending } = options;
    signal?.throwIfAborted();
    const caller = { onPending };
    this.#callers.add(caller);
    try {
      return { session: await waitFor(this.#session ??= this.#begin(), signal) };
    } finally {
      this.#callers.delete(caller);
      if (this.#callers.size === 0 && this.#pausing !== undefined) {
        this.#session = undefined;
        this.#pausing.abort();
      }
    }
  }

  #begin(): Promise<Session> {
    const session = this.#context.track(this.#polled());
    session.catch((thrown: unknown) => {
      // The login is as good as before.
      if (this.#session === session && thrown instanceof OAuthError && thrown.retryable) this.#session = undefined;
    });
    return session;
  }

  async #polled(): Promise<Session> {
    for (;;) {
      await this.#pause();
      const began = momentOf(this.#context.clock);
      const received = await this.#ask();
      if (received !== undefined) return this.#kept(received, { ...this.#asked, began });
      if (this.#callers.size > 0) continue;
      this.#session = undefined;
      throw abandoned();
    }
  }

  /** Until the next request may be sent. */
  async #pause(): Promise<void> {
    const { clock, closing } = this.#context;
    closing.throwIfAborted();
    const pause = Math.max(0, this.#pace.pause - elapsedSince(this.#heard, clock));
    const remaining = this.#remaining(clock);
    const pausing = this.#pausing = new AbortController();
    const close = (): void => { pausing.abort(); };
    onAbort(closing, close);
    try {
      await sleep(Math.min(pause, remaining), { signal: pausing.signal });
    } catch {
      closing.throwIfAborted();
      throw abandoned();
    } finally {
      if (this.#pausing === pausing) this.#pausing = undefined;
      closing.removeEventListener('abort', close);
    }
    if (pause >= remaining || this.#remaining(clock) <= 0) throw expired(this.#lastFailure);
  }

  #remaining(clock: Clock): number {
    const { sentAt, lifetime } = this.#authorization;
    return Math.max(0, lifetime - elapsedSince(sentAt, clock));
  }

  /** One request; undefined where the next one may bring more. */
  async #ask(): Promise<ReceivedTokens | undefined> {
    const { serverName, timeout } = this.#context;
    const { signal, clear } = deadlineIn(timeout, `The token endpoint of ${serverName} did not answer within ${timeout} ms (option \`timeout\`)`);
    try {
      return await this.#authorization.poll(signal);
    } catch (thrown) {
      this.#judge(thrown);
      return undefined;
    } finally {
      clear();
      this.#heard = momentOf(this.#context.clock);
    }
  }

  /** RFC 8628 section 3.5, CIBA section 11. Throws what ends the login. */
  #judge(thrown: unknown): void {
    if (!(thrown instanceof OAuthError)) throw thrown;
    const { error, retryAfter } = thrown;
    if (error === 'expired_token') throw expired(thrown);
    if (error === 'access_denied') throw refused(thrown);
    if (error === 'authorization_pending' || error === 'slow_down') {
      this.#pace.pending(error === 'slow_down', retryAfter);
      this.#lastFailure = undefined;
      this.#tell({ expiresAt: this.expiresAt, interval: this.#pace.pause });
      return;
    }
    if (!isPassing(thrown)) throw thrown;
    this.#pace.failed(retryAfter);
    this.#lastFailure = thrown;
  }

  #tell(pending: PendingLogin): void {
    for (const { onPending } of this.#callers) if (onPending !== undefined) void tell(onPending, pending);
  }

  async #kept(received: ReceivedTokens, asked: AskedOfLogin): Promise<Session> {
    const { timeout, serverName } = this.#context;
    const tokens = { refreshToken: received.refreshToken(), accessToken: received.accessToken() };
    if (this.#callers.size > 0) {
      const { signal, clear } = deadlineIn(timeout, `The login could not be completed by ${serverName} within ${timeout} ms (option \`timeout\`)`);
      const session = await begunSession(received, asked, signal, this.#context).finally(clear).catch(asFinal);
      if (this.#callers.size > 0) return session;
      await session.end({ revoke: false }).catch(() => undefined);
    }
    await revokeQuietly(tokens, this.#context);
    throw new OAuthError('login_expired', 'Nobody waited for the login any more when its tokens came, so they were revoked: it has to be started again');
  }
}

/** Heard by nobody. */
function abandoned(): OAuthError {
  return new OAuthError('timeout', 'Nobody waits for the login any more', { retryable: true });
}

/** The other side's trouble, which says nothing of the login. */
const passing: readonly string[] = ['token_request_failed', 'server_unreachable', 'timeout', 'discovery_failed'];

function isPassing({ code, retryable }: OAuthError): boolean {
  // A page that stands in for the server is none of its answers.
  return code === 'invalid_response' || (retryable && passing.includes(code));
}

/** @param cause what the server said, or what kept it from being asked to the end */
function expired(cause: OAuthError | undefined): OAuthError {
  return new OAuthError('login_expired', 'The user did not approve the login in time: it has to be started again', { error: cause?.error, cause });
}

function refused(cause: OAuthError): OAuthError {
  const { error, errorDescription, status } = cause;
  return new OAuthError('authorization_failed', `The authorization server ended the login with ${JSON.stringify(error)}`, { error, errorDescription, status, cause });
}

/** A callback that fails, now or later, doesn't end the login. */
async function tell(onPending: NonNullable<DecoupledLoginOptions['onPending']>, pending: PendingLogin): Promise<void> {
  try {
    await onPending(pending);
  } catch (thrown) {
    process.emitWarning(`onPending failed with ${className(thrown)}`, 'GrantkeeperWarning');
  }
}
