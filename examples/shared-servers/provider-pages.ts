import type { ErrorOut, KoaContextWithOIDC } from 'oidc-provider';
import { html } from '../pages/html.js';
import { document } from '../pages/page.js';

const meanings: Readonly<Record<string, string>> = {
  openid: 'know that it’s you',
  profile: 'know your name',
  offline_access: 'stay signed in while you’re away',
};

export function loginPage(client: string, name: string): string {
  return document({ narrow: true, title: 'Sign in', content: html`<section class="card">
<h1>Sign in</h1>
<p class="quiet">to go on to ${client}</p>
<form method="post">
<label for="name">Your name</label>
<input id="name" name="name" value="${name}" required maxlength="80" autofocus autocomplete="off">
<button name="action" value="login">Sign in</button>
</form>
</section>
<p class="quiet small">This is the example’s own authorization server. Any name will do.</p>` });
}

export function consentPage(client: string, user: string, scopes: string[]): string {
  return document({ narrow: true, title: 'Allow access', content: html`<section class="card">
<h1>Allow access?</h1>
<p class="quiet">${client} would like to</p>
<ul>${scopes.map((scope) => html`
<li>${meanings[scope] ?? html`use <code>${scope}</code>`}</li>`)}
</ul>
<form method="post" class="buttons">
<button name="action" value="allow">Allow</button>
<button name="action" value="deny" class="plain" formnovalidate>Deny</button>
</form>
</section>
<p class="quiet small">You are signed in as ${user}.</p>` });
}

export function messagePage(title: string, text: string): string {
  return document({ narrow: true, title, content: html`<section class="card">
<h1>${title}</h1>
<p class="quiet">${text}</p>
</section>` });
}

/** Asks whether the user signs out here as well (OpenID Connect RP-Initiated Logout 1.0 section 2). `form` is the provider's, and has no button. */
export function showLogout(context: KoaContextWithOIDC, form: string): void {
  const [, action = ''] = /action="([^"]*)"/.exec(form) ?? [];
  const [, xsrf = ''] = /name="xsrf" value="([^"]*)"/.exec(form) ?? [];
  show(context, document({ narrow: true, title: 'Sign out', content: html`<section class="card">
<h1>Sign out here as well?</h1>
<p class="quiet">${context.oidc.client?.clientName ?? 'The application'} has signed you out.</p>
<form method="post" action="${action}" class="buttons">
<input type="hidden" name="xsrf" value="${xsrf}">
<button name="logout" value="yes">Sign out</button>
<button class="plain">Stay signed in</button>
</form>
</section>` }));
}

export function showLoggedOut(context: KoaContextWithOIDC): void {
  show(context, messagePage('You are signed out', 'You can close this page.'));
}

/** An error that can't be told to the client, since it isn't known where the client is. */
export function showError(context: KoaContextWithOIDC, { error, error_description: description = error }: ErrorOut): void {
  show(context, messagePage('This did not work', description));
}

function show(context: KoaContextWithOIDC, page: string): void {
  context.type = 'html';
  context.body = page;
}
