/** Whether secrets may be sent there: https, or http to this very machine where the user allows it. */
export function isSecure(url: URL, allowInsecureRequests: boolean): boolean {
  return url.protocol === 'https:' || (allowInsecureRequests && url.protocol === 'http:' && isLoopback(url.hostname));
}

/** 127.0.0.0/8, ::1 and localhost (RFC 6761 section 6.3), as `URL` spells them. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
