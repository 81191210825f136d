import { redirectTo, type Answer, type Reply } from './answers.js';
import type { Consent } from './login-grants.js';

export interface Denial {
  readonly error: string;
  readonly description?: string | undefined;
}

export interface AuthorizationEndpoint {
  isKnown(clientId: string): boolean;
  /** RFC 9207: what goes into the callback as `iss`. */
  readonly iss: string | undefined;
  readonly denial: Denial | undefined;
  /** The user who is signed in, and consents to everything. */
  readonly subject: string;
  /** Milliseconds since the epoch. */
  now(): number;
  begin(consent: Consent): string;
}

/** RFC 6749 section 4.1.1: sends the browser back at once, or says on the spot what is wrong with the request. */
export function authorize(parameters: URLSearchParams, endpoint: AuthorizationEndpoint): Answer {
  const complaint = complaintAbout(parameters, endpoint);
  if (complaint !== undefined) return { status: 400, json: { error: 'invalid_request', error_description: complaint } };
  const { denial } = endpoint;
  const outcome = denial ? { error: denial.error, error_description: denial.description } : { code: endpoint.begin(consentTo(parameters, endpoint)) };
  const members: [string, string | null | undefined][] = [...Object.entries(outcome), ['state', parameters.get('state')], ['iss', endpoint.iss]];
  const callback = new URLSearchParams(members.filter((member): member is [string, string] => typeof member[1] === 'string'));
  const redirectUri = parameters.get('redirect_uri') ?? '';
  if (parameters.get('response_mode') === 'form_post') return formPost(redirectUri, callback);
  // The redirect URI keeps its query and every byte of its own (RFC 6749 section 3.1.2).
  return redirectTo(`${redirectUri}${redirectUri.includes('?') ? '&' : '?'}${callback.toString()}`);
}

function complaintAbout(parameters: URLSearchParams, endpoint: AuthorizationEndpoint): string | undefined {
  for (const name of ['client_id', 'redirect_uri', 'response_type', 'state', 'code_challenge']) {
    if (parameters.getAll(name).length > 1) return `${name} is there more than once`;
  }
  if (!endpoint.isKnown(parameters.get('client_id') ?? '')) return 'client_id is missing or unknown';
  if (!URL.canParse(parameters.get('redirect_uri') ?? '')) return 'redirect_uri is not an absolute URL';
  if (parameters.get('response_type') !== 'code') return 'response_type is not "code"';
  if (!/^[\w-]{43}$/.test(parameters.get('code_challenge') ?? '')) return 'code_challenge is not a SHA-256 in base64url';
  if (parameters.get('code_challenge_method') !== 'S256') return 'code_challenge_method is not "S256"';
  return undefined;
}

function consentTo(parameters: URLSearchParams, endpoint: AuthorizationEndpoint): Consent {
  return {
    clientId: parameters.get('client_id') ?? '',
    redirectUri: parameters.get('redirect_uri') ?? '',
    subject: endpoint.subject,
    scope: parameters.get('scope') ?? '',
    resource: parameters.getAll('resource'),
    nonce: parameters.get('nonce') ?? undefined,
    codeChallenge: parameters.get('code_challenge') ?? undefined,
    authTime: parameters.has('max_age') ? Math.floor(endpoint.now() / 1000) : undefined,
  };
}

/** OAuth 2.0 Form Post Response Mode. */
function formPost(action: string, members: URLSearchParams): Reply {
  const inputs = [...members].map(([name, value]) => `<input type="hidden" name="${markup(name)}" value="${markup(value)}">`).join('');
  return {
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
    body: `<!doctype html><body onload="document.forms[0].submit()"><form method="post" action="${markup(action)}">${inputs}</form></body>`,
  };
}

function markup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
