import { initiateDeviceAuthorization } from 'openid-client';
import { OAuthError } from '../errors.js';
import { authenticatedRequest } from './authenticated-request.js';
import type { DecoupledAuthorization } from './authorization-server.js';
import type { ConnectedClient } from './connected-client.js';
import type { ProofKey } from './dpop/proof-key.js';
import { readExpiresIn } from './expires-in.js';
import { requiredEndpoint } from './metadata.js';
import { printable } from './printable.js';

/** What the endpoint is asked, and what has to be in its answer. */
export interface DecoupledLoginForm {
  /** Its member of the metadata. */
  readonly endpoint: string;
  readonly parameters: URLSearchParams;
  /** Those of its values that must appear nowhere else. */
  readonly secrets: readonly string[];
  readonly key: ProofKey | undefined;
  /** The member of the answer that stands for the login. */
  readonly code: string;
  /** Whether the user has to be shown something. */
  readonly isShown: boolean;
}

export interface BegunDecoupledLogin extends Omit<DecoupledAuthorization, 'poll'> {
  readonly code: string;
}

/** Seconds that a login lasts whose server names no lifetime, though it has to. */
const assumedLifetime = 600;
/** Seconds between two token requests where the server names none (RFC 8628 section 3.2, CIBA section 7.3). */
const defaultInterval = 5;
/** Seconds: a server that names 0 is not asked without a pause. */
const shortestInterval = 1;
const longestUri = 2_000;

/** A login that is begun here and completed elsewhere: one request (RFC 8628 section 3.1, CIBA section 7.1) and its answer. */
export async function beginDecoupledLogin(client: ConnectedClient, { endpoint, parameters, secrets, key, code, isShown }: DecoupledLoginForm, signal: AbortSignal): Promise<BegunDecoupledLogin> {
  const name = `The ${endpoint.replaceAll('_', ' ')}`;
  const url = requiredEndpoint(client.metadata, endpoint, 'startDecoupledLogin()', client.allowInsecureRequests);
  // What openid-client sends there is the same for every such endpoint: the form, and the client's proof.
  const metadata = { ...client.metadata, device_authorization_endpoint: url.href };
  const { answer: { status, members = {} }, sentAt } = await authenticatedRequest({ ...client, metadata }, {
    endpoint: name,
    send: async (configuration) => initiateDeviceAuthorization(configuration, parameters),
    placeholder: () => Response.json({ device_code: 'received', user_code: 'received', verification_uri: 'received', expires_in: 1 }),
    secrets,
    key,
  }, signal);
  const refused = (member: string, expected: string): OAuthError => new OAuthError('invalid_response', `${name} answered with HTTP ${status}, but its \`${member}\` is missing or not ${expected}`, { status });

  const received = members[code];
  if (typeof received !== 'string' || received === '') throw refused(code, 'a text');
  const shown = {
    userCode: textOf(members['user_code'], 100),
    // Google's name for it is older than the RFC's.
    verificationUri: webAddress(members['verification_uri'] ?? members['verification_url']),
    verificationUriComplete: webAddress(members['verification_uri_complete']),
  };
  if (isShown && shown.userCode === undefined) throw refused('user_code', 'a text');
  if (isShown && shown.verificationUri === undefined) throw refused('verification_uri', 'an https or http URL');
  return {
    code: received,
    ...(isShown && shown),
    lifetime: Math.max(0, readExpiresIn(members['expires_in']) ?? assumedLifetime) * 1_000,
    interval: intervalOf(members['interval']) * 1_000,
    sentAt,
  };
}

function textOf(value: unknown, longest: number): string | undefined {
  const text = typeof value === 'string' ? printable(value, longest).trim() : '';
  return text === '' ? undefined : text;
}

/** An address for people: it's shown as the server spells it, and nothing is sent there. */
function webAddress(value: unknown): string | undefined {
  const text = textOf(value, longestUri);
  return text !== undefined && URL.canParse(text) && /^https?:$/.test(new URL(text).protocol) ? text : undefined;
}

/** Seconds, as a number or the text of one. */
function intervalOf(value: unknown): number {
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof seconds === 'number' && Number.isFinite(seconds) && seconds >= 0 ? Math.max(shortestInterval, seconds) : defaultInterval;
}
