import type { Configuration } from 'oidc-provider';
import { html } from '../pages/html.js';
import { document } from '../pages/page.js';

type DeviceFlow = NonNullable<NonNullable<Configuration['features']>['deviceFlow']>;

/** What users of a device are asked on another one (RFC 8628 section 3.3): its code, and whether it's theirs. The forms are the provider's, and have no button. */
export const devicePages: Pick<DeviceFlow, 'userCodeInputSource' | 'userCodeConfirmSource' | 'successSource'> = {
  userCodeInputSource(context, form, _out, error) {
    context.body = document({ narrow: true, title: 'Connect a device', content: html`<section class="card">
<h1>Connect a device</h1>
${error === undefined ? html`` : html`<p class="quiet">That code is not, or no longer, one of ours.</p>`}
<form method="post" action="${actionOf(form)}">
<input type="hidden" name="xsrf" value="${valueOf(form, 'xsrf')}">
<label for="user_code">The code that it shows</label>
<input id="user_code" name="user_code" required autofocus autocomplete="off" autocapitalize="characters">
<button>Go on</button>
</form>
</section>` });
  },
  userCodeConfirmSource(context, form, client, _device, code) {
    context.body = document({ narrow: true, title: 'Connect a device', content: html`<section class="card">
<h1>Does it show <code>${code}</code>?</h1>
<p class="quiet">Go on only if you have begun to sign in to ${client.clientName ?? 'it'} on a device of yours, and it shows this code.</p>
<form method="post" action="${actionOf(form)}" class="buttons">
${['xsrf', 'user_code', 'confirm'].map((name) => html`<input type="hidden" name="${name}" value="${valueOf(form, name)}">`)}
<button>It does</button>
</form>
</section>` });
  },
  successSource(context) {
    context.body = document({ narrow: true, title: 'Your device is connected', content: html`<section class="card">
<h1>Your device is connected</h1>
<p class="quiet">You can close this page.</p>
</section>` });
  },
};

function actionOf(form: string): string {
  return /action="([^"]*)"/.exec(form)?.[1] ?? '';
}

function valueOf(form: string, name: string): string {
  return new RegExp(`name="${name}" value="([^"]*)"`).exec(form)?.[1] ?? '';
}
