import { Agent, setGlobalDispatcher } from 'undici';

/**
 * Imported ahead of programs that name `https://login.example.com` and the like, as documentation does: sends what goes there to the servers of the
 * test instead. `EXAMPLE_HOSTS` is a JSON object from origin to origin.
 */
const hosts = new Map(Object.entries(JSON.parse(process.env['EXAMPLE_HOSTS'] ?? '{}') as Record<string, string>));

setGlobalDispatcher(new Agent().compose((dispatch) => (options, handler) => dispatch({ ...options, origin: hosts.get(String(options.origin)) ?? 'http://unknown.invalid' }, handler)));
