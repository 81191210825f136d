import { OAuthError } from 'grantkeeper';

export interface Failure {
  /** For scripts. */
  code: string;
  status: number;
  title: string;
  text: string;
}

/** What a user is told; the reason is in the log. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof OAuthError)) {
    // What a fetch throws that got no answer, as the platform's does.
    return error instanceof TypeError
      ? { code: 'api_unreachable', status: 502, title: 'Your orders can’t be had at the moment', text: 'The service that keeps them does not answer. Please try again in a little while.' }
      : { code: 'server_error', status: 500, title: 'Something went wrong', text: 'It isn’t your fault.' };
  }
  const { code, retryable } = error;
  if (code === 'reauthorization_required') return { code, status: 401, title: 'Please sign in again', text: 'Your session is over.' };
  return retryable
    ? { code, status: 503, title: 'Please try again in a little while', text: 'Something that this site needs does not answer. You are still signed in.' }
    : { code, status: 500, title: 'Something went wrong', text: 'Something isn’t set up as it should be. It isn’t your fault.' };
}
