/** What a person does with a browser: keeps cookies, follows redirects, fills in the forms of the authorization server. */
export class UserAgent {
  /** By origin, then by name. Paths and lifetimes don't matter in one login. */
  readonly #cookies = new Map<string, Map<string, string>>();

  /** Signs in and allows everything. @returns the address that the authorization server sends the browser back to, not yet visited */
  async signIn(authorizationUrl: string | URL, name: string): Promise<string> {
    const end = await this.#goThrough(new URL(authorizationUrl), name);
    if ('elsewhere' in end) return end.elsewhere;
    throw new Error(`The authorization server sends nobody back from ${end.url.pathname}`);
  }

  /** Opens the address that a device shows, confirms that the code in it is the device's, signs in and allows everything (RFC 8628 section 3.3). */
  async approveDevice(verificationUriComplete: string, userCode: string, name: string): Promise<void> {
    const end = await this.#goThrough(new URL(verificationUriComplete), name, userCode);
    if ('elsewhere' in end || !end.page.includes('is connected')) throw new Error('The authorization server does not say that the device is connected');
  }

  /** Fills in every form. @returns where it ends: at another site, or at a page without a form */
  async #goThrough(start: URL, name: string, userCode = ''): Promise<{ elsewhere: string } | { url: URL; page: string }> {
    const { origin } = start;
    let url = start;
    let form: URLSearchParams | undefined;
    for (let steps = 0; steps < 20; steps += 1) {
      const response = await this.#send(url, form);
      const page = await response.text();
      const location = response.headers.get('location');
      if (location !== null) {
        url = new URL(location, url);
        form = undefined;
        if (url.origin !== origin) return { elsewhere: url.href };
      } else if (page.includes('value="login"')) form = new URLSearchParams({ action: 'login', name });
      else if (page.includes('value="allow"')) form = new URLSearchParams({ action: 'allow' });
      else if (page.includes('name="xsrf"')) {
        if (page.includes('name="confirm"') && !page.includes(`<code>${userCode}</code>`)) throw new Error(`The page asks for another code than ${userCode}`);
        form = hiddenInputs(page);
        url = new URL(/action="([^"]*)"/.exec(page)?.[1] ?? '', url);
      } else return { url, page };
    }
    throw new Error(`There is no end at ${url.pathname}`);
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

function hiddenInputs(page: string): URLSearchParams {
  return new URLSearchParams([...page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(([, name = '', value = '']): [string, string] => [name, value]));
}
