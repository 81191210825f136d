import { createHash, timingSafeEqual } from 'node:crypto';
import { OAuthError } from '../errors.js';
import type { CallbackIssuer } from '../server/authorization-server.js';
import { parameterNames } from '../server/answer-shape.js';
import { readBody } from '../server/body.js';
import { printable } from '../server/printable.js';
import { createRedactor, type Redactor } from '../server/redaction.js';
import { having } from '../validation.js';
import type { Transaction } from './transaction.js';

/** What came back with the browser (RFC 6749 section 4.1.2), whoever made it up. */
export type CallbackParameters = URLSearchParams;

const base = 'https://callback.invalid';

/**
 * The parameters of a callback: the query of its address, or the form of a POST (OAuth 2.0 Form Post Response Mode).
 * @throws OAuthError `invalid_callback`
 */
export async function readCallback(callback: string | URL | Request): Promise<CallbackParameters> {
  try {
    return await parametersOf(callback);
  } catch (thrown) {
    throw isCallbackError(thrown) ? thrown : callbackRefused('it can\'t be read; the body of a Request can be read once only, and must not be too large');
  }
}

function isCallbackError(thrown: unknown): boolean {
  return thrown instanceof OAuthError && thrown.code === 'invalid_callback';
}

async function parametersOf(callback: string | URL | Request): Promise<CallbackParameters> {
  if (typeof callback === 'string' || callback instanceof URL) return queryOf(callback);
  if (!isRequest(callback)) throw callbackRefused('it must be a URL or a Request');
  const isForm = callback.method === 'POST' && callback.headers.get('content-type')?.toLowerCase().startsWith('application/x-www-form-urlencoded') === true;
  return isForm ? new URLSearchParams(await readBody(new Response(callback.body), 'The form')) : queryOf(callback.url);
}

/** By its members: a framework's own is as good. */
function isRequest(value: unknown): value is Request {
  return typeof value === 'object' && value !== null && typeof Reflect.get(value, 'url') === 'string' && having('text').accepts(value) && having('get').accepts(Reflect.get(value, 'headers'));
}

function queryOf(address: string | URL): URLSearchParams {
  if (!URL.canParse(String(address), base)) throw callbackRefused('its address is not a URL');
  return new URL(address, base).searchParams;
}

/** Those that decide, and may stand there once. */
const single = ['state', 'code', 'iss', 'error'];

/**
 * The code of a callback that belongs to this login. Nothing but its state ties it to the browser, so that is looked at before all else.
 * @param kept what else of it must not be in an error
 * @throws OAuthError `invalid_callback`, `authorization_failed`
 */
export function checkCallback(parameters: CallbackParameters, { state, nonce }: Transaction, { issuer, isPromised }: CallbackIssuer, kept: readonly string[]): string {
  for (const name of single) if (parameters.getAll(name).length > 1) throw callbackRefused(`it has more than one \`${name}\``);
  if (!parameters.has('state')) throw callbackRefused(`it has no \`state\`${namesHint(parameters, 'state')}`);
  if (!isSame(parameters.get('state') ?? '', state)) throw callbackRefused('its `state` is not that of this login: it belongs to another one, or another browser');
  checkIssuer(parameters.get('iss') ?? undefined, issuer, isPromised);
  const error = parameters.get('error') ?? '';
  if (error !== '') throw authorizationFailed(error, parameters.get('error_description') ?? '', createRedactor([state, nonce, ...kept]));
  const code = parameters.get('code') ?? '';
  if (code === '') throw callbackRefused(`it has neither \`code\` nor \`error\`${namesHint(parameters, 'code')}`);
  return code;
}

/** For servers with names of their own. */
function namesHint(parameters: CallbackParameters, wanted: 'state' | 'code'): string {
  const names = parameterNames(new URLSearchParams([...parameters].filter(([name]) => !single.includes(name))));
  return names === undefined ? '' : `. It has ${names}: if one of these is the ${wanted}, declare \`dialect.authorizationResponse.names.${wanted}\``;
}

/** RFC 9207 section 2.4, on error answers too. */
function checkIssuer(iss: string | undefined, issuer: string | undefined, isPromised: boolean): void {
  if (iss === undefined && isPromised) throw callbackRefused('it does not name its issuer (`iss`), though the authorization server promises to');
  if (iss !== undefined && issuer !== undefined && iss !== issuer) throw callbackRefused('it comes from another authorization server (`iss`)');
}

export function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/** @param hide servers echo what they were sent */
function authorizationFailed(error: string, description: string, hide: Redactor): OAuthError {
  const code = printable(hide(error), 100);
  return new OAuthError('authorization_failed', `The authorization server ended the login with ${JSON.stringify(code)}`, {
    error: code,
    errorDescription: description === '' ? undefined : printable(hide(description), 1_000),
  });
}

export function callbackRefused(reason: string): OAuthError {
  return new OAuthError('invalid_callback', `The callback can't complete this login: ${reason}`);
}
