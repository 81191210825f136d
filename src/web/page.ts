import type { TokenManager } from '../token-manager.js';
import type { FailureAnswer } from './failure.js';
import type { LoginHandlersSettings } from './login-handlers-options.js';

/** What the pages need of a token manager. */
export type LoginManager = Pick<TokenManager, 'startLogin' | 'completeLogin' | 'session'>;

export interface PageContext extends LoginHandlersSettings {
  readonly tokens: LoginManager;
  readonly failed: FailureAnswer;
  /** Where a login leads that was asked to lead there: never off the site, nor to one of these pages. */
  readonly destination: (returnTo: string | undefined) => string;
}

export interface Page {
  readonly method: 'GET' | 'POST';
  readonly answer: (request: Request) => Promise<Response>;
}
