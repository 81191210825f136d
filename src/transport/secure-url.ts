import { invalid, shapeOf } from '../validation.js';

/** Whether secrets may be sent there: https, or http to this very machine where the user allows it. */
export function isSecure(url: URL, allowInsecureRequests: boolean): boolean {
  return url.protocol === 'https:' || (allowInsecureRequests && url.protocol === 'http:' && isLoopback(url.hostname));
}

/**
 * For options with a URL to which secrets are sent.
 * @throws OAuthError `invalid_configuration`
 */
export function checkSecure(where: string, option: string, url: URL, allowInsecureRequests: boolean): void {
  if (url.username !== '' || url.password !== '') throw invalid(`${where}: \`${option}\` must not hold user and password`);
  if (!isSecure(url, allowInsecureRequests)) {
    throw invalid(`${where}: \`${option}\` must be https; received ${shapeOf(url.origin === 'null' ? url.href : url.origin)}. http is for loopback only, with \`allowInsecureRequests: true\``);
  }
}

/** 127.0.0.0/8, ::1 and localhost (RFC 6761 section 6.3), as `URL` spells them. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
