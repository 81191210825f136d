import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { InteractionResults, Provider } from 'oidc-provider';
import { accountNamed, nameOf } from './accounts.js';
import { consentPage, loginPage, messagePage } from './provider-pages.js';

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

/**
 * What an authorization server asks its users: who they are, and whether they allow what a client wants. Each form posts to its own address: `action=login` with a
 * `name`, `action=allow` or `action=deny`.
 * @returns whether the request was for one of these pages
 */
export async function handleInteraction(provider: Provider, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  if (request.url?.startsWith('/interaction/') !== true) return false;
  try {
    const interaction = await provider.interactionDetails(request, response);
    const result = request.method === 'POST' ? await answered(provider, interaction, new URLSearchParams(await text(request))) : undefined;
    if (result === undefined) show(response, 200, await pageFor(provider, interaction));
    else await provider.interactionFinished(request, response, result);
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'SessionNotFound') throw error;
    show(response, 400, messagePage('This page has expired', 'Go back to the application, and sign in again.'));
  }
  return true;
}

async function pageFor(provider: Provider, { prompt, params, session }: Interaction): Promise<string> {
  const client = await provider.Client.find(String(params['client_id']));
  const name = client?.clientName ?? 'An application';
  if (prompt.name === 'login') return loginPage(name, typeof params['login_hint'] === 'string' ? params['login_hint'] : '');
  return consentPage(name, nameOf(session?.accountId ?? ''), String(params['scope']).split(' '));
}

async function answered(provider: Provider, interaction: Interaction, form: URLSearchParams): Promise<InteractionResults | undefined> {
  const name = form.get('name')?.trim().slice(0, 80) ?? '';
  const action = form.get('action');
  if (action === 'login' && name !== '') return { login: { accountId: accountNamed(name) } };
  if (action === 'allow' && interaction.session !== undefined) return { consent: { grantId: await allowed(provider, interaction) } };
  if (action === 'deny') return { error: 'access_denied', error_description: 'The user said no.' };
  return undefined;
}

/** Adds what was asked for to the user's grant for this client. */
async function allowed(provider: Provider, { prompt, params, session, grantId }: Interaction): Promise<string> {
  const grant = await provider.Grant.find(grantId ?? '') ?? new provider.Grant({ accountId: session?.accountId ?? '', clientId: String(params['client_id']) });
  const { missingOIDCScope = [], missingResourceScopes = {} } = prompt.details as { missingOIDCScope?: string[]; missingResourceScopes?: Record<string, string[]> };
  grant.addOIDCScope(missingOIDCScope.join(' '));
  for (const [resource, scopes] of Object.entries(missingResourceScopes)) grant.addResourceScope(resource, scopes.join(' '));
  return grant.save();
}

function show(response: ServerResponse, status: number, page: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(page);
}
