import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Provider } from 'oidc-provider';

/** What a user does on the pages of the authorization server, without the pages: signs in at once, and consents to everything. */
export class OidcInteractions {
  static readonly path = '/interaction/';
  /** Who signs in from now on. */
  subject = 'user-1';
  readonly #provider: Provider;
  #denials = 0;

  constructor(provider: Provider) {
    this.#provider = provider;
  }

  deniesNextConsent(): void {
    this.#denials += 1;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const details = await this.#provider.interactionDetails(request, response);
    if (details.prompt.name === 'login') {
      await this.#provider.interactionFinished(request, response, { login: { accountId: this.subject } });
      return;
    }
    const outcome = this.#denials > 0 ? { error: 'access_denied', error_description: 'The user said no' } : { consent: { grantId: await this.#consentTo(details) } };
    this.#denials = Math.max(0, this.#denials - 1);
    await this.#provider.interactionFinished(request, response, outcome, { mergeWithLastSubmission: true });
  }

  async #consentTo({ grantId, session, params, prompt: { details } }: Awaited<ReturnType<Provider['interactionDetails']>>): Promise<string> {
    const { Grant } = this.#provider;
    const known = grantId === undefined ? undefined : await Grant.find(grantId);
    const grant = known ?? new Grant({ accountId: session?.accountId, clientId: params['client_id'] as string });
    const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = details as { missingOIDCScope?: string[]; missingOIDCClaims?: string[]; missingResourceScopes?: Record<string, string[]> };
    if (missingOIDCScope !== undefined) grant.addOIDCScope(missingOIDCScope.join(' '));
    if (missingOIDCClaims !== undefined) grant.addOIDCClaims(missingOIDCClaims);
    for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) grant.addResourceScope(resource, scopes.join(' '));
    return grant.save();
  }
}
