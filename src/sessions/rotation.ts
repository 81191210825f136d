import type { Lease } from '../cache/turn.js';
import { elapsedSince, momentOf, type Moment } from '../clock.js';
import { deadlineIn, orAbort, sleep, type Deadline } from '../deadline.js';
import { OAuthError } from '../errors.js';
import { fromStored, type GrantedToken } from '../grants/granted-token.js';
import type { GrantCall } from '../grants/grant.js';
import { outcomeOf } from '../grants/refresh-token.js';
import { withRetries } from '../retry/with-retries.js';
import type { ReceivedTokens, Refresh, SendRefresh } from '../server/authorization-server.js';
import type { ProofKey } from '../server/dpop/proof-key.js';
import { revokeQuietly } from '../server/revocation.js';
import type { CanonicalTokenRequest } from '../tokens/token-request.js';
import { anotherSend, closed, isLastSend, isWithinGrace } from './refresh-attempt.js';
import type { SessionEntry } from './session-entry.js';
import { hasExpired, identity, judged } from './judgement.js';
import { Superseded } from './locked-record.js';
import { reauthorizationRequired, type EndReason } from './reauthorization.js';
import type { RotationContext, SessionTokenRequest } from './rotation-context.js';
import { keyOf, tokenOf } from './session-key.js';
import { refreshTokenName, type SessionRecord } from './session-record.js';

/** Before a refusal is believed: who else has used the refresh token may be about to write. */
const secondLook = 100;
/** Before a refresh token is sent again whose sender didn't say what came of it: it may have the answer, and a store that lets it write only now. */
const patienceWithSender = 1_000;
/** The part of the time for the request that must be left when it's sent: an answer that comes too late costs the session where the server rotates. */
const leastTime = 1 / 10;

/**
 * The refresh of a session's tokens with a refresh token that may be good for one use only. Its steps, in their order:
 *
 *     prepare   discovery and the client's proof: what can fail before anything is at stake
 *     lock      one per grant, not per resource; re-read the record; return if somebody else has done the work
 *     intent    the record says that the refresh token is about to be sent; if it says so already, whoever sent it is given some time to say what came of it
 *     send      while the lease outlasts the request
 *     keep      the refresh token that came back is durable before anything else of the answer is looked at
 *     judge     the access token, then the ID token
 *     hand out  and release
 *
 * Invariants:
 *
 * - At most one use of a refresh token is in flight per grant.
 * - Fences only grow, and who has lost the lock writes into its own slot only.
 * - What is durable is what the server considers current, or took within its grace; where the store fails after the answer it's in memory, and is written as
 *   soon as the store lets it.
 * - A refresh token whose answer was lost is sent once more, when somebody has no other token; within the declared grace as often as need be.
 * - A session ends where its grant is refused (`invalid_grant`, and nobody else was faster), and where nothing is left to try: its last access token is
 *   used up, and there is no refresh token, or it was sent twice without an answer. Nothing else ends it, whatever is answered how often.
 * - Nobody's abort stops what was sent.
 */
export async function refresh(entry: SessionEntry, wanted: SessionTokenRequest, call: GrantCall, context: RotationContext): Promise<GrantedToken> {
  const { server, serverName, timeout } = context;
  const preparing = deadlineIn(timeout, `${serverName} could not be asked for a token within ${timeout} ms (option \`timeout\`)`);
  const send = await orAbort(server.prepareRefresh(preparing.signal), preparing.signal).finally(() => { preparing.clear(); });
  return entry.locked(
    async (lease, record) => rotate({ entry, wanted, call, context, send, lease }, record),
    async () => found(await entry.glance(), { wanted, call, context }),
  );
}

/** What somebody else has got. */
function found(record: SessionRecord | undefined, { wanted, call, context }: Pick<Rotating, 'wanted' | 'call' | 'context'>): GrantedToken | undefined {
  const current = record && tokenOf(record, wanted.name, context);
  return current !== undefined && call.isNewer(current) ? fromStored(current, context.clock) : undefined;
}

interface Rotating {
  readonly entry: SessionEntry;
  readonly wanted: SessionTokenRequest;
  readonly call: GrantCall;
  readonly context: RotationContext;
  readonly send: SendRefresh;
  readonly lease: Lease;
}

async function rotate(rotating: Rotating, claimed: SessionRecord): Promise<GrantedToken> {
  const { wanted, call, context } = rotating;
  const record = await heard(rotating, claimed);
  const alreadyThere = found(record, rotating);
  if (alreadyThere !== undefined) return alreadyThere;
  if (record.refreshToken === undefined) {
    const current = tokenOf(record, wanted.name, context);
    if (current !== undefined && call.isUsable(current)) return fromStored(current, context.clock);
    throw await overUnlessAlive(rotating, record, 'no_refresh_token', wanted.name === '' ? reauthorizationRequired('no_refresh_token') : ownTokenOnly());
  }
  const began = momentOf(context.clock);
  const { timeout, serverName } = context;
  const deadline = deadlineIn(timeout, `No token from ${serverName} within ${timeout} ms (option \`timeout\`)`);
  try {
    const sent = await sendRepeatedly(rotating, record, record.refreshToken, deadline);
    return 'adopted' in sent ? sent.adopted : await handOut(rotating, sent, began);
  } finally {
    deadline.clear();
  }
}

/** The record, once whoever has sent its refresh token without saying what came of it has had time to; within the grace there is no need to know. */
async function heard({ entry, context, lease }: Rotating, record: SessionRecord): Promise<SessionRecord> {
  const { attempt } = record;
  if (attempt === undefined || attempt.openUnder.length === 0 || isWithinGrace(attempt, context)) return record;
  await sleep(patienceWithSender);
  return entry.reload(lease);
}

/**
 * The end, unless an access token of the session is still good: then only the call that asked fails. One that an API refused is good for others, but for one
 * without a lifetime: a refusal is how that one ends.
 */
async function overUnlessAlive({ entry, wanted, call, context, lease }: Rotating, { tokens }: SessionRecord, reason: EndReason, failure: OAuthError): Promise<OAuthError> {
  const now = context.clock.now();
  const isAlive = Object.entries(tokens).some(([name, token]) => (name === wanted.name && token.lifetime === Infinity ? call.isUsable(token) : !hasExpired(token, now)));
  return isAlive ? failure : entry.end(lease, reason);
}

function ownTokenOnly(): OAuthError {
  return new OAuthError('invalid_configuration', 'forResource: the session has no refresh token, with which a token for another API could be had; ask for `offline_access` at the login, if the server has it');
}

interface Answered {
  readonly received: ReceivedTokens;
  /** With which it was asked for. */
  readonly key: ProofKey | undefined;
  /** As it was when the token was sent, intent included. */
  readonly record: SessionRecord;
}

/** Somebody else was faster, and this is what they got. */
interface Adopted {
  readonly adopted: GrantedToken;
}

/** A try that failed is repeated at once only where that is safe, and somebody waits who has no other token. */
async function sendRepeatedly(rotating: Rotating, record: SessionRecord, refreshToken: string, deadline: Deadline): Promise<Answered | Adopted> {
  const { entry, call, context } = rotating;
  const { retry, budget } = context;
  budget.deposit();
  let current = record;
  return withRetries(async () => sendOnce(rotating, current, refreshToken, deadline, (next) => { current = next; }), {
    policy: retry,
    signal: entry.endSignal,
    remaining: deadline.remaining,
    repeatable: (failure) => (failure instanceof OAuthError && failure.retryable && call.isUrgent() && isRepeatable(failure, current, rotating) && budget.withdraw() ? { retryAfter: failure.retryAfter } : undefined),
  });
}

function isRepeatable(failure: OAuthError, { attempt }: SessionRecord, { context, lease }: Rotating): boolean {
  if (failure.code === 'store_failed') return false;
  switch (outcomeOf(failure)) {
    case 'not sent':
    case 'kept':
      return true;
    case 'lost':
      return anotherSend(attempt, lease.fence, context) !== undefined;
    case 'unclear':
      return attempt !== undefined && isWithinGrace(attempt, context);
    case 'refused':
      return false;
  }
}

/** @param note told what the record says of the refresh token from then on */
async function sendOnce(rotating: Rotating, before: SessionRecord, refreshToken: string, deadline: Deadline, note: (record: SessionRecord) => void): Promise<Answered | Adopted> {
  const { entry, wanted, context, lease, send } = rotating;
  const attempt = anotherSend(before.attempt, lease.fence, context);
  if (attempt === undefined) throw await overUnlessAlive(rotating, before, 'unanswered', unanswered('twice', 'it is not sent again, and the session lasts as long as its access token'));
  // Until somebody has no other token there is time for the server to come back.
  if (isLastSend(attempt) && !rotating.call.isUrgent()) throw unanswered('once', 'it is sent once more when the access token is used up');
  const key = keyOf(before, context);
  const record: SessionRecord = { ...before, attempt };
  const backTo = async (earlier: SessionRecord): Promise<void> => {
    note(earlier);
    await entry.note(lease, earlier);
  };
  try {
    await entry.intend(lease, record);
    await ready(lease, context, deadline);
  } catch (thrown) {
    // A write that failed may have taken effect.
    await backTo(before);
    throw thrown;
  }
  note(record);
  try {
    return { record, key, received: await entry.sending(record, async () => send(refreshOf(refreshToken, wanted, record, key), deadline.signal)) };
  } catch (thrown) {
    const failure = thrown as OAuthError;
    switch (outcomeOf(failure)) {
      case 'refused':
        return { adopted: await adoptedOrOver(rotating, before, failure) };
      case 'not sent':
      case 'kept':
        await backTo(before);
        break;
      case 'unclear':
        // It doesn't count, but a refusal that follows may come of it.
        await backTo({ ...record, attempt: { ...closed(attempt, lease.fence), sends: before.attempt?.sends ?? 0 } });
        break;
      case 'lost':
        await backTo({ ...record, attempt: closed(attempt, lease.fence) });
    }
    throw failure;
  }
}

/** Nothing is awaited between this and the sending. The clock is asked, not only the timer: a process that slept finds its timers late. */
async function ready(lease: Lease, { timeout, serverName }: RotationContext, { signal, remaining }: Deadline): Promise<void> {
  if (lease.remaining() <= timeout && !await lease.renew()) throw new OAuthError('store_failed', 'The lock of the session was lost before its refresh token was sent', { retryable: true });
  signal.throwIfAborted();
  if (remaining() < timeout * leastTime) throw new OAuthError('timeout', `The refresh token was not sent: of the ${timeout} ms for an answer from ${serverName} (option \`timeout\`) too little was left`, { retryable: true });
}

function unanswered(times: string, consequence: string): OAuthError {
  return new OAuthError('server_unreachable', `The refresh token was sent ${times} without an answer: ${consequence}`, { retryable: true, ambiguous: true });
}

function refreshOf(refreshToken: string, wanted: SessionTokenRequest, record: SessionRecord, key: ProofKey | undefined): Refresh {
  return { refreshToken, request: requestOf(wanted, record), key, kept: record.kept ?? {}, accessToken: record.tokens[wanted.name]?.token.value };
}

/** The session's own tokens are for the resource that the login named, if it was one. */
function requestOf({ name, request }: SessionTokenRequest, { resource }: SessionRecord): CanonicalTokenRequest {
  return name === '' && resource !== undefined ? { ...request, resource: [resource] } : request;
}

/**
 * After a refusal: what somebody else has got meanwhile, or the end.
 * @param before the record as it was before the refresh token that is refused was sent
 */
async function adoptedOrOver({ entry, wanted, call, context, lease }: Rotating, before: SessionRecord, failure: OAuthError): Promise<GrantedToken> {
  await sleep(secondLook);
  const stored = await entry.reload(lease).catch(async (thrown: unknown) => {
    // An answer came: whoever looks next doesn't have to guess.
    await entry.note(lease, before);
    throw thrown;
  });
  const isRefused = stored.fence <= lease.fence && stored.refreshToken === before.refreshToken;
  if (isRefused) throw await entry.end(lease, before.attempt === undefined ? 'refused' : 'ambiguous', failure);
  const adopted = found(stored, { wanted, call, context });
  if (adopted !== undefined) return adopted;
  throw new Superseded();
}

async function handOut(rotating: Rotating, answered: Answered, began: Moment): Promise<GrantedToken> {
  const { entry, context, lease } = rotating;
  try {
    const granted = await kept(rotating, answered);
    context.events.emit('acquired', { grant: 'refresh_token', ...(granted.expiresAt !== undefined && { expiresAt: granted.expiresAt }), durationMs: elapsedSince(began, context.clock) });
    context.events.emit('refreshed', { sessionId: entry.id, generation: lease.fence });
    return granted;
  } catch (thrown) {
    // What the answer of a session that ended meanwhile brings is no one's.
    if (entry.isBuried) await revokeQuietly({ refreshToken: answered.received.refreshToken() }, context);
    throw thrown;
  }
}

/** The order is the point: the refresh token, then the judgement. */
async function kept({ entry, wanted, context, lease }: Rotating, { record, key, received }: Answered): Promise<GrantedToken> {
  const refreshToken = received.refreshToken() ?? record.refreshToken;
  const replaced = refreshToken === record.refreshToken || record.refreshToken === undefined ? record.replaced : refreshTokenName(record.refreshToken);
  const rotated: SessionRecord = { ...record, attempt: undefined, refreshToken, replaced, refreshedAt: context.clock.now() };
  const judgement = judged(wanted, rotated, received, key, context);
  // With an ID token there is more to be judged, and that may take a request.
  await entry.keep(lease, received.hasIdToken || 'failure' in judgement ? rotated : judgement.record);
  if ('failure' in judgement) throw judgement.failure;
  if (received.hasIdToken) await entry.keep(lease, { ...judgement.record, ...await identity(received, record, context) });
  return judgement.granted;
}
