import type { Provider } from './provider.js';

/**
 * Google, discovered. It gives a refresh token only with `access_type=offline`, and to a user who has consented before only when asked to consent again; a refresh brings no other.
 *
 * The form of the issuer is not from a page that could be read: discovery checks it, and says if it is wrong.
 * @see https://developers.google.com/identity/protocols/oauth2/openid-connect read 2026-11-29
 */
export const google: Provider = {
  issuer: 'https://accounts.google.com',
  dialect: { authorizationRequest: { parameters: { access_type: 'offline', prompt: 'consent' } } },
};
