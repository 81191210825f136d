import type { JWK } from 'jose';

/** What the director and its two servers say to each other over IPC. Secrets travel here: a command line is public. */

export interface AuthorizationServerConfig {
  /** 0 takes a free port. */
  port: number;
  /** Private signing key. A restarted server gets the same one, so that tokens of its predecessor stay valid. */
  signingKey: JWK;
  clientId: string;
  clientSecret: string;
  scope: string;
  audience: string;
  /** Of the web backend. Nothing listens there: the browser's part is played without going back. */
  redirectUris: string[];
  tokenLifetimeSeconds: number;
  /** For how many milliseconds a replaced refresh token is still taken. */
  refreshGrace: number;
  /** A busy token endpoint isn't instant; without this nobody could see who waits for it and who doesn't. */
  tokenEndpointDelayMs: number;
}

export interface ApiConfig {
  issuer: string;
  audience: string;
  scope: string;
}

/** What the API has seen, counted where it happens. */
export interface ApiFigures {
  requests: number;
  /** Answered with 401. */
  refused: number;
  /** Distinct tokens that were accepted, by their `jti`. */
  tokens: number;
}

export type Command =
  | { type: 'start'; config: AuthorizationServerConfig | ApiConfig }
  | { type: 'figures' }
  | { type: 'revoke-current-token' }
  | { type: 'lose-next-answer' }
  | { type: 'end-grant' };

export type Report =
  | { type: 'loaded' }
  | { type: 'listening'; url: string }
  | { type: 'request-received'; method: string; path: string }
  | { type: 'request-answered'; method: string; path: string; status: number }
  | { type: 'figures'; figures: ApiFigures }
  | { type: 'revoked' }
  | { type: 'refresh-token-replaced' }
  | { type: 'loses-next-answer' }
  | { type: 'answer-lost' }
  | { type: 'grant-ended' };

export type ReportOf<T extends Report['type']> = Extract<Report, { type: T }>;
