interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

/** A browser at one authorization server: keeps its cookies, follows its redirects, and stops where they lead away from it. */
export class CookieUserAgent {
  readonly #origin: string;
  #cookies: Cookie[] = [];

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** @returns the address elsewhere that the server sends the browser to */
  async follows(url: string | URL): Promise<string> {
    const { address, response } = await this.#go(new URL(url));
    if (response === undefined) return address;
    throw new Error(`the authorization server sends nobody back: ${response.status} ${await response.text()}`);
  }

  /** Opens a page with a form, and sends it. @returns where that leads to */
  async submits(url: string | URL, members: Record<string, string>): Promise<string> {
    const { response } = await this.#go(new URL(url));
    const page = await response?.text() ?? '';
    const action = /<form [^>]*action="([^"]*)"/.exec(page)?.[1];
    if (action === undefined) throw new Error(`there is no form at ${String(url)}: ${page}`);
    const hidden = [...page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(([, name = '', value = '']): [string, string] => [name, value]);
    const { address } = await this.#go(new URL(action, this.#origin), { method: 'POST', body: new URLSearchParams([...hidden, ...Object.entries(members)]) });
    return address;
  }

  async #go(start: URL, init: RequestInit = {}): Promise<{ address: string; response?: Response }> {
    let url = start;
    let request = init;
    while (url.origin === this.#origin) {
      const response = await fetch(url, { ...request, redirect: 'manual', headers: { cookie: this.#cookiesFor(url) } });
      for (const cookie of response.headers.getSetCookie()) this.#keep(cookie, url);
      const location = response.headers.get('location');
      if (location === null) return { address: url.href, response };
      await response.arrayBuffer();
      if (!URL.canParse(location, url.href) || new URL(location, url).origin !== this.#origin) return { address: location };
      url = new URL(location, url);
      request = {};
    }
    return { address: url.href };
  }

  #cookiesFor({ pathname }: URL): string {
    return this.#cookies.filter(({ path }) => pathname.startsWith(path)).map(({ name, value }) => `${name}=${value}`).join('; ');
  }

  #keep(header: string, { pathname }: URL): void {
    const [pair = '', ...attributes] = header.split('; ');
    const [, name = '', value = ''] = /^([^=]*)=(.*)$/.exec(pair) ?? [];
    const attribute = (wanted: string): string | undefined => attributes.find((each) => each.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1);
    const path = attribute('path') ?? pathname;
    const expires = attribute('expires');
    this.#cookies = this.#cookies.filter((cookie) => cookie.name !== name || cookie.path !== path);
    if (value !== '' && (expires === undefined || Date.parse(expires) > Date.now())) this.#cookies.push({ name, value, path });
  }
}
