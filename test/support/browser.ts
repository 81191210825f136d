export type Site = (request: Request) => Promise<Response | undefined>;

/** A browser as far as cookies go: it keeps those that a browser would keep, and sends them with every request to the one site it knows. */
export class Browser {
  /** By name, in the order of their creation, in which they're sent (RFC 6265 section 5.4). */
  readonly cookies: Map<string, string> = new Map<string, string>();
  readonly #site: Site;
  readonly #origin: string;

  constructor(site: Site, origin = 'https://app.example.com') {
    this.#site = site;
    this.#origin = origin;
  }

  /** Follows a link or types an address. */
  async opens(path: string, init: RequestInit = {}): Promise<Response> {
    const url = new URL(path, this.#origin);
    const headers = new Headers(init.headers);
    if (this.cookies.size > 0) headers.set('cookie', this.cookieHeader);
    const response = await this.#site(new Request(url, { redirect: 'manual', ...init, headers }));
    if (response === undefined) throw new Error(`nothing answers at ${path}`);
    for (const cookie of response.headers.getSetCookie()) this.#keep(cookie);
    return response;
  }

  /** Sends a form of a page of this site. */
  async submits(path: string, headers: Record<string, string> = { origin: this.#origin }): Promise<Response> {
    return this.opens(path, { method: 'POST', headers });
  }

  get cookieHeader(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  get session(): string | undefined {
    return this.cookies.get('__Host-grantkeeper-session');
  }

  /** What the browser keeps of logins that aren't finished. */
  get loginsUnderWay(): string[] {
    return [...this.cookies.keys()].filter((name) => name.startsWith('__Host-grantkeeper-login-'));
  }

  #keep(cookie: string): void {
    const [pair = '', ...attributes] = cookie.split('; ');
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(pair) ?? [];
    // RFC 6265bis sections 4.1.3.2 and 5.6: a cookie that breaks these rules is dropped without a word, which a test shouldn't be.
    if (!attributes.includes('Secure') || !attributes.includes('Path=/') || attributes.some((attribute) => attribute.startsWith('Domain'))) throw new Error(`no browser keeps ${name}: it is not a __Host- cookie`);
    if (name.length + value.length > 4096) throw new Error(`no browser keeps ${name}: it has ${name.length + value.length} bytes`);
    if (attributes.includes('Max-Age=0')) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }
}

/** What the authorization server sends the browser back with. */
export function callbackFor(start: Response, parameters: Record<string, string> = { code: 'code-1' }): string {
  const state = new URL(start.headers.get('location') ?? '').searchParams.get('state') ?? '';
  return `/callback?${new URLSearchParams({ ...parameters, state }).toString()}`;
}
