import { parseJsonObject } from './body.js';

/** The answer of an endpoint as it came: nothing in it is trusted yet. */
export interface EndpointAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** As it came. */
  readonly body: string;
  /** The members of the body; undefined where it's neither a JSON object nor a form. */
  readonly members: Readonly<Record<string, unknown>> | undefined;
}

/** A JSON object, or a form where the text is none: some servers answer so, whatever their content type says. */
export function parseMembers(body: string, contentType: string | null): Record<string, unknown> | undefined {
  const isForm = contentType?.toLowerCase().startsWith('application/x-www-form-urlencoded') === true || /^[\w.-]+=[^&<>\s]*(&[\w.-]+=[^&<>\s]*)*$/.test(body);
  return parseJsonObject(body) ?? (isForm ? Object.fromEntries(new URLSearchParams(body)) : undefined);
}
