/** The browser's part of a login: goes to the authorization server, and gives the address that it was sent back to. */
export async function followLogin(url: string | URL): Promise<string> {
  const response = await fetch(url, { redirect: 'manual' });
  const body = await response.text();
  const callback = response.headers.get('location');
  if (callback === null) throw new Error(`the authorization server sends nobody back: ${response.status} ${body}`);
  return callback;
}

/** As `followLogin`, where the way back is a form that submits itself (`response_mode=form_post`). */
export async function submitLogin(url: string | URL): Promise<Request> {
  const page = await (await fetch(url, { redirect: 'manual' })).text();
  const action = /<form method="post" action="([^"]*)">/.exec(page)?.[1];
  if (action === undefined) throw new Error(`the authorization server answers with no form: ${page}`);
  const members = [...page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)];
  const form = new URLSearchParams(members.map(([, name = '', value = '']) => [textOf(name), textOf(value)] as [string, string]));
  return new Request(textOf(action), { method: 'POST', body: form });
}

function textOf(markup: string): string {
  return markup.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&amp;', '&');
}
