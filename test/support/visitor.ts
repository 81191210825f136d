import type { Browser, BrowserContext, BrowserContextOptions, Cookie, Page } from 'playwright-core';

export const SESSION_COOKIE = '__Host-grantkeeper-session';

/** A person at the example web backend, with a browser of their own. */
export class Visitor {
  readonly page: Page;
  /** Scripts that failed, and what the pages' security policy stopped: there should be nothing in it. */
  readonly complaints: string[] = [];
  readonly #context: BrowserContext;
  readonly #url: string;

  private constructor(context: BrowserContext, page: Page, url: string) {
    this.#context = context;
    this.page = page;
    this.#url = url;
    context.on('weberror', (error) => this.complaints.push(String(error.error())));
    context.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) this.complaints.push(message.text());
    });
    context.on('dialog', (dialog) => {
      this.complaints.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
  }

  static async arrives(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Visitor> {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(30_000);
    return new Visitor(context, await context.newPage(), url);
  }

  /** Types an address of the site. */
  async opens(path: string, page: Page = this.page): Promise<void> {
    await page.goto(new URL(path, this.#url).href);
  }

  async opensTab(path: string): Promise<Page> {
    const page = await this.#context.newPage();
    await this.opens(path, page);
    return page;
  }

  /** From the site's own page to the consent that the authorization server asks for. */
  async identifies(name: string, page: Page = this.page): Promise<void> {
    await page.getByRole('link', { name: 'Sign in' }).click();
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Allow access?' }).waitFor();
  }

  async allows(page: Page = this.page): Promise<void> {
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.getByRole('button', { name: 'Call it again' }).waitFor();
  }

  async signsIn(name = 'Ada Lovelace'): Promise<void> {
    await this.opens('/');
    await this.identifies(name);
    await this.allows();
  }

  /** Presses the button, and waits until the page shows what came of it. @returns the status of the site's answer */
  async callsAgain(page: Page = this.page): Promise<number> {
    const [response] = await Promise.all([
      page.waitForResponse((candidate) => candidate.url() === new URL('/api/orders', this.#url).href),
      page.getByRole('button', { name: 'Call it again' }).click(),
    ]);
    await page.locator('#again:enabled').waitFor();
    return response.status();
  }

  async cookies(): Promise<Cookie[]> {
    return this.#context.cookies(this.#url);
  }

  async sessionCookie(): Promise<Cookie | undefined> {
    return (await this.cookies()).find(({ name }) => name === SESSION_COOKIE);
  }

  async setSessionCookie(value: string): Promise<void> {
    await this.#context.addCookies([{ name: SESSION_COOKIE, value, domain: 'localhost', path: '/', secure: true, httpOnly: true, sameSite: 'Lax' }]);
  }

  /** What a site of somebody else's shows. */
  async opensForeignPage(html: string): Promise<void> {
    await this.#context.route('http://127.0.0.1:1/', (route) => route.fulfill({ contentType: 'text/html', body: html }));
    await this.page.goto('http://127.0.0.1:1/');
  }

  async leaves(): Promise<void> {
    await this.#context.close();
  }
}
