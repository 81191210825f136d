export interface Settings {
  /** Where browsers find this backend: `https://app.example.com`. `/callback` below it has to be registered at the authorization server, and `/` for logouts. */
  appUrl: string;
  issuer: string;
  clientId: string;
  clientSecret: string;
  apiUrl: string;
  /** Plain http, and only to this machine: for tests and for the demo. */
  allowInsecureRequests: boolean;
}

/** Names every missing variable at once, so that nobody has to start the backend five times. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const { APP_URL: appUrl, ISSUER: issuer, CLIENT_ID: clientId, CLIENT_SECRET: clientSecret, API_URL: apiUrl } = env;
  if (!appUrl || !issuer || !clientId || !clientSecret || !apiUrl) {
    const missing = ['APP_URL', 'ISSUER', 'CLIENT_ID', 'CLIENT_SECRET', 'API_URL'].filter((name) => !env[name]);
    throw new Error(`Missing in the environment: ${missing.join(', ')}`);
  }
  return { appUrl, issuer, clientId, clientSecret, apiUrl, allowInsecureRequests: env['ALLOW_INSECURE_REQUESTS'] === 'true' };
}
