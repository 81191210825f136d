/** What a person does with a browser: keeps cookies, follows redirects, fills in the forms of the authorization server. */
export class UserAgent {
  /** By origin, then by name. Paths and lifetimes don't matter in one login. */
  readonly #cookies = new Map<string, Map<string, string>>();

  /** Signs in and allows everything. @returns the address that the authorization server sends the browser back to, not yet visited */
  async signIn(authorizationUrl: string | URL, name: string): Promise<string> {
    const { origin } = new URL(authorizationUrl);
    let url = new URL(authorizationUrl);
    let form: URLSearchParams | undefined;
    for (let steps = 0; steps < 20; steps += 1) {
      const response = await this.#send(url, form);
      const page = await response.text();
      const location = response.headers.get('location');
      if (location !== null) {
        url = new URL(location, url);
        form = undefined;
        if (url.origin !== origin) return url.href;
      } else if (page.includes('value="login"')) form = new URLSearchParams({ action: 'login', name });
      else if (page.includes('value="allow"')) form = new URLSearchParams({ action: 'allow' });
      else break;
    }
    throw new Error(`The authorization server sends nobody back from ${url.pathname}`);
  }

  async #send(url: URL, body: URLSearchParams | undefined): Promise<Response> {
    const jar = this.#cookies.get(url.origin) ?? new Map<string, string>();
    this.#cookies.set(url.origin, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { redirect: 'manual', headers: { cookie }, ...body !== undefined && { method: 'POST', body } });
    for (const set of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]*)=([^;]*)/.exec(set) ?? [];
      if (value === '') jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }
}
