import { OAuthError } from '../../errors.js';
import type { Template } from './dialect.js';

/** Values of the callback, by name. */
export type Kept = Readonly<Record<string, string>>;

const placeholder = /\{([^{}]*)\}/g;

/** The names in a template. */
export function placeholders(template: Template): string[] {
  return [...template.matchAll(placeholder)].map(([, name = '']) => name);
}

/** For a parameter, which is encoded when it's sent. */
export function fill(template: Template, kept: Kept): string {
  return template.replace(placeholder, (_, name: string) => valueOf(name, kept));
}

/** For a header: what it can't carry is percent-encoded. */
export function fillHeader(template: Template, kept: Kept): string {
  return template.replace(placeholder, (_, name: string) => valueOf(name, kept).replace(/[^\x21-\x7e]/gu, encodeURIComponent));
}

/**
 * The address of a template. What a callback says is never trusted to choose who is asked: in a host it fills one label, in a path one segment; where it decides the origin, that must be one of `origins`.
 * @throws OAuthError `invalid_callback`
 */
export function fillEndpoint(template: Template, kept: Kept, origins: readonly string[] | undefined): URL {
  const { origin, rest } = partsOf(template);
  const filledOrigin = origin.startsWith('{') ? filledStart(origin, kept) : origin.replace(placeholder, (_, name: string) => label(name, kept));
  const text = filledOrigin + rest.replace(placeholder, (_, name: string) => segment(name, kept));
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // An origin that was made of it must be nothing but an origin.
  if (url?.origin !== filledOrigin.toLowerCase()) throw refuse('makes no address of a token endpoint');
  if (origins !== undefined && origin.includes('{') && !origins.includes(url.origin)) throw refuse('names a server that is not among the `origins` that the dialect allows');
  return url;
}

/** Scheme and authority, and what follows them. */
export function partsOf(template: Template): { origin: string; rest: string } {
  const origin = /^(\{[^{}]*\}|[a-z][a-z0-9+.-]*:\/\/[^/?#]*)/i.exec(template)?.[0] ?? '';
  return { origin, rest: template.slice(origin.length) };
}

function filledStart(origin: Template, kept: Kept): string {
  return fill(origin, kept).replace(/\/$/, '');
}

function label(name: string, kept: Kept): string {
  const value = valueOf(name, kept);
  if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i.test(value)) return value.toLowerCase();
  throw refuse(`has a \`${name}\` that is not one label of a host name`);
}

function segment(name: string, kept: Kept): string {
  const value = valueOf(name, kept);
  if (value !== '.' && value !== '..') return encodeURIComponent(value);
  throw refuse(`has a \`${name}\` that would change the path of the token endpoint`);
}

function valueOf(name: string, kept: Kept): string {
  const value = Object.hasOwn(kept, name) ? kept[name] : undefined;
  if (value === undefined || value === '') throw refuse(`has no \`${name}\`, which the dialect needs`);
  return value;
}

function refuse(reason: string): OAuthError {
  return new OAuthError('invalid_callback', `The callback ${reason}`);
}
