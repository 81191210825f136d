export { createLoginHandlers, type LoginHandlers } from './node/login-handlers.js';
export type { LoginErrorListener, LoginHandlersOptions } from './web/login-handlers-options.js';
export type { LoginManager } from './web/page.js';
