import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify, type JWTPayload, type JWTHeaderParameters } from 'jose';
import type { Answer } from './answers.js';
import type { Api } from './api-server.js';
import type { ReceivedRequest } from './received-request.js';

export interface ReadProof {
  readonly header: JWTHeaderParameters;
  readonly claims: JWTPayload;
  /** Thumbprint of the key that signed it. */
  readonly jkt: string;
}

/** The proof of a request, its signature checked with the key that it holds (RFC 9449 section 4.3). */
export async function proofOf({ headers }: Pick<ReceivedRequest, 'headers'>, now?: Date): Promise<ReadProof> {
  const proof = headers['dpop'];
  if (typeof proof !== 'string') throw new Error('the request has no proof, or several');
  const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', ...now && { currentDate: now } });
  const { jwk } = protectedHeader;
  if (jwk === undefined || 'd' in jwk) throw new Error('the proof must hold the public key, and no other');
  return { header: protectedHeader, claims: payload, jkt: await calculateJwkThumbprint(jwk) };
}

export function hashOf(accessToken: string): string {
  return createHash('sha256').update(accessToken).digest('base64url');
}

export interface ProofRules {
  /** The key of a token; undefined for a token that the API doesn't know. */
  keyOf: (accessToken: string) => string | undefined;
  /** The nonce that proofs must have; without one none is asked for. */
  nonce?: () => string;
}

/** Has an API check proofs as RFC 9449 section 4.3 and 7 say; a `jti` counts once. */
export function demandsProofs(api: Api, { keyOf, nonce }: ProofRules): void {
  const seen = new Set<unknown>();
  api.answersEvery(async (request) => {
    const [scheme, token = ''] = request.headers.authorization?.split(' ') ?? [];
    const withNonce = nonce === undefined ? {} : { 'dpop-nonce': nonce() };
    const refuse = (error: string): Answer => ({ status: 401, headers: { 'www-authenticate': `DPoP error="${error}", algs="ES256"`, ...withNonce } });
    if (scheme !== 'DPoP' || keyOf(token) === undefined) return refuse('invalid_token');
    const proof = await proofOf(request).catch(() => undefined);
    if (proof === undefined) return refuse('invalid_dpop_proof');
    const { claims: { htm, htu, ath, jti, nonce: shown }, jkt } = proof;
    if (jkt !== keyOf(token) || htm !== request.method || htu !== api.origin + request.path || ath !== hashOf(token) || seen.has(jti)) return refuse('invalid_dpop_proof');
    seen.add(jti);
    return nonce !== undefined && shown !== nonce() ? refuse('use_dpop_nonce') : { json: { jkt }, headers: withNonce };
  });
}
