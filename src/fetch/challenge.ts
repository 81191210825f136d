/** One challenge of a `WWW-Authenticate` header (RFC 9110 section 11.6.1): its scheme, and its parameters under the names that they have there, in lower case. */
export interface Challenge {
  /** As the server spells it, e.g. `Bearer`; empty where the server left it out. */
  readonly scheme: string;
  /** E.g. `invalid_token`, `insufficient_scope` (RFC 6750 section 3.1), `insufficient_user_authentication` (RFC 9470). */
  readonly error?: string;
  /** A text for developers. */
  readonly error_description?: string;
  /** The scope that is needed. */
  readonly scope?: string;
  /** What is protected (RFC 9110 section 11.5). */
  readonly realm?: string;
  /** Authentication contexts, one of which is needed (RFC 9470 section 3). */
  readonly acr_values?: string;
  /** Seconds (RFC 9470 section 3). */
  readonly max_age?: string;
  /** Credentials without a name, e.g. of `Negotiate`. */
  readonly token68?: string;
  readonly [parameter: string]: string | undefined;
}

/**
 * The challenges of a response, in their order, over all its `WWW-Authenticate` headers. Never throws: what can't be read is left out.
 * The response's body stays unread.
 */
export function challenges(response: Pick<Response, 'headers'>): Challenge[] {
  const header = response.headers.get('www-authenticate');
  return header === null ? [] : parseChallenges(header);
}

// RFC 9110 section 5.6.2, 5.6.4 and 11.2. Sticky: each is tried where the one before ended.
const separators = /[\s,]*/y;
const token = /[!#$%&'*+.^_`|~\w-]+/y;
const equals = /[ \t]*=[ \t]*/y;
const quoted = /"((?:[^"\\]|\\[^])*)("|$)/y;
const unquoted = /[^\s,"]*/y;
const token68 = /[ \t]+([A-Za-z0-9\-._~+/]+=*)[ \t]*(?=,|$)/y;
const unreadable = /[^,]+/y;

interface Parsed {
  readonly scheme: string;
  readonly parameters: [string, string][];
}

function parseChallenges(header: string): Challenge[] {
  let position = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = position;
    const match = pattern.exec(header);
    if (match === null) return undefined;
    position = pattern.lastIndex;
    return match;
  };

  const found: Parsed[] = [];
  const begin = (scheme: string, parameters: [string, string][] = []): Parsed => {
    const begun = { scheme, parameters };
    found.push(begun);
    return begun;
  };

  for (take(separators); position < header.length; take(separators)) {
    const name = take(token)?.[0];
    if (name === undefined) {
      take(unreadable);
    } else if (take(equals) !== undefined) {
      const text = take(quoted)?.[1]?.replace(/\\([^])/g, '$1') ?? take(unquoted)?.[0] ?? '';
      (found.at(-1) ?? begin('')).parameters.push([name.toLowerCase(), text]);
    } else {
      const credentials = take(token68)?.[1];
      begin(name, credentials === undefined ? [] : [['token68', credentials]]);
    }
  }
  return found.map(({ scheme, parameters }) => ({ ...firstOfEach(parameters), scheme }));
}

/** A parameter may stand in a challenge once; where a server repeats it, the first counts. */
function firstOfEach(parameters: readonly [string, string][]): Record<string, string> {
  return Object.fromEntries([...parameters].reverse());
}
