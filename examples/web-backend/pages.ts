import type { SessionInfo } from 'grantkeeper';
import { Html, html } from '../pages/html.js';
import { document, sourceOf, styleSource } from '../pages/page.js';
import { script } from './script.js';

/** What the API answered, when, and until when the access token is good. Times are in milliseconds since the epoch. */
export interface ApiCall {
  at: number;
  status: number;
  body: unknown;
  expiresAt: number | undefined;
}

/** No `form-action`: browsers hold that against the redirect of a form's answer, too, and a logout goes on to the authorization server. */
export const contentSecurityPolicy: string = `default-src 'none'; style-src ${styleSource}; script-src ${sourceOf(script)}; connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'`;

export function signedOutPage(replica?: string): string {
  return document({ narrow: true, title: 'Example shop', content: html`<section class="card">
<h1>Example shop</h1>
<p class="quiet">Sign in to see your orders.</p>
<a class="button" href="/login">Sign in</a>
</section>${answeredBy(replica)}` });
}

export function signedInPage({ claims = {}, scope, createdAt }: SessionInfo, { at, status, body, expiresAt }: ApiCall, replica?: string): string {
  return document({ title: 'Your orders', content: html`<header class="row">
<div>
<h1>Example shop</h1>
<p class="quiet">You are signed in as <strong>${textOf(claims['name'] ?? claims['sub'])}</strong></p>
</div>
<form method="post" action="/logout"><button class="plain">Sign out</button></form>
</header>

<div class="columns">
<section class="card">
<div class="row">
<h2>What the API answered</h2>
<button id="again">Call it again</button>
</div>
<pre id="answer" aria-live="polite">${JSON.stringify(body, null, 2)}</pre>
<ol id="calls">
<li>${timeOf(at)} <code>/v1/orders</code> <span>${status}</span>${replica === undefined ? undefined : html` <span>${replica}</span>`}</li>
</ol>
<p class="quiet small">Your browser calls this site, and this site the API: the access token stays on the server.</p>
</section>

<div>
<section class="card">
<h2>The access token</h2>
<dl>
<dt>expires</dt><dd id="expires" data-at="${expiresAt}">${expiresAt === undefined ? 'when the API says so' : timeOf(expiresAt)}</dd>
<dt>is good for</dt><dd><code>${scope}</code></dd>
</dl>
</section>

<section class="card">
<h2>Who you are</h2>
<dl>${Object.entries(claims).filter(([name]) => !ofTheProtocol.has(name)).map(([name, value]) => html`
<dt>${name}</dt><dd>${textOf(value)}</dd>`)}
<dt>signed in at</dt><dd>${timeOf(createdAt)}</dd>
</dl>
</section>
</div>
</div>${answeredBy(replica)}
<script>${new Html(script)}</script>` });
}

/** Claims that say nothing of the user (OpenID Connect Core section 2). */
const ofTheProtocol = new Set(['aud', 'azp', 'exp', 'iat', 'nonce', 'at_hash', 'c_hash', 'sid']);

export function failurePage(title: string, text: string, replica?: string): string {
  return document({ narrow: true, title, content: html`<section class="card">
<h1>${title}</h1>
<p class="quiet">${text}</p>
<a class="button" href="/">Go on</a>
</section>${answeredBy(replica)}` });
}

function answeredBy(replica: string | undefined): Html | undefined {
  return replica === undefined ? undefined : html`
<p class="quiet small">This page was made by <strong>${replica}</strong>.</p>`;
}

function textOf(claim: unknown): string {
  return typeof claim === 'string' ? claim : JSON.stringify(claim);
}

function timeOf(time: number): Html {
  const iso = new Date(time).toISOString();
  return html`<time datetime="${iso}">${iso.slice(11, 19)} UTC</time>`;
}
