import type { ReceivedTokens } from '../authorization-server.js';

/** The tokens of a code that were exchanged for others at once: what the second answer leaves out is as in the first. */
export function exchangedTokens(first: ReceivedTokens, second: ReceivedTokens): ReceivedTokens {
  return {
    refreshToken: () => second.refreshToken() ?? first.refreshToken(),
    accessToken: () => second.accessToken(),
    hasIdToken: first.hasIdToken || second.hasIdToken,
    judged() {
      const [{ scope, parameters }, response] = [first.judged(), second.judged()];
      return { ...response, scope: response.scope ?? scope, parameters: { ...parameters, ...response.parameters } };
    },
    identity: async (expected, signal) => (second.hasIdToken ? second : first).identity(expected, signal),
  };
}
