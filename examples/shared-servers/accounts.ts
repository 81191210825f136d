import { createHash } from 'node:crypto';
import type { Account } from 'oidc-provider';

/** Whoever gives a name has an account. The same name is the same user. */
const names = new Map<string, string>();

/** @returns the id of the account: the user's `sub` */
export function accountNamed(name: string): string {
  const id = `user-${createHash('sha256').update(name.toLowerCase()).digest('hex').slice(0, 8)}`;
  names.set(id, name);
  return id;
}

export function findAccount(_context: unknown, id: string): Account | undefined {
  const name = names.get(id);
  return name === undefined ? undefined : { accountId: id, claims: () => ({ sub: id, name }) };
}

export function nameOf(id: string): string {
  return names.get(id) ?? id;
}
