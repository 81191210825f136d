import { OAuthError } from '../errors.js';

/** Why a session is over. */
export type EndReason =
  /** `end()` was called. */
  | 'ended'
  /** The authorization server refused the refresh token. */
  | 'refused'
  /** The same, after a refresh whose answer was lost: the server may have taken the repetition for a theft. */
  | 'ambiguous'
  /** Two refreshes with the same token were sent, and neither was ever answered. */
  | 'unanswered'
  /** Its access token expired or was refused, and there is no refresh token. */
  | 'no_refresh_token'
  /** There is none: it ended long ago, idled out, or never was. */
  | 'unknown';

const reasons: Readonly<Record<EndReason, string>> = {
  ended: 'it was ended',
  refused: 'the authorization server takes its refresh token no more',
  ambiguous: 'the answer to a refresh was lost, and the authorization server takes the refresh token no more',
  unanswered: 'its refresh token was sent twice without an answer, so that nobody knows whether it is still good; the option `refreshGrace` tells how long the server would take it again',
  no_refresh_token: 'its access token is used up and the authorization server gave no refresh token; ask for `offline_access`, if the server has it',
  unknown: 'there is none of this id: it ended, was not used for too long, or never was',
};

/** The one answer to every kind of end: the user has to sign in again. */
export function reauthorizationRequired(reason: EndReason, cause?: OAuthError): OAuthError {
  return new OAuthError('reauthorization_required', `The session is over, and the user has to sign in again: ${reasons[reason]}`, {
    cause,
    error: cause?.error,
    status: cause?.status,
    ambiguous: reason === 'ambiguous' || reason === 'unanswered' ? true : undefined,
  });
}

export function endReason(text: string): EndReason {
  return Object.hasOwn(reasons, text) ? text as EndReason : 'ended';
}
