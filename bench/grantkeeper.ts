/** The package as it is published: `dist/`, not `src/`. Only its types come from the sources, so that they are there before a build. */
import type * as Grantkeeper from 'grantkeeper';

export const builtPackage: URL = new URL('../dist/index.js', import.meta.url);

const built = (await import(builtPackage.href)) as typeof Grantkeeper;

export const createTokenManager: typeof Grantkeeper.createTokenManager = built.createTokenManager;
export const createFetch: typeof Grantkeeper.createFetch = built.createFetch;
