export { createLoginHandlers, type LoginHandlers } from './web/login-handlers.js';
export type { LoginErrorListener, LoginHandlersOptions } from './web/login-handlers-options.js';
export type { LoginManager } from './web/page.js';
