import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose';

/** A private key, bytes for HMAC, or `none`: no signature at all. */
export type IdTokenSignature = CryptoKey | Uint8Array | 'none';

interface SigningKey {
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** Making an RSA key takes a while: the servers of a process share theirs. What tells their ID tokens apart is the issuer. */
const signingKeys = new Map<string, Promise<SigningKey>>();

/** Signs ID tokens (OpenID Connect Core section 2), and bends them if told to. */
export class IdTokens {
  readonly alg: string;
  #generation = 1;
  #bent: { claims: Record<string, unknown>; header: Record<string, unknown> }[] = [];
  #signatures: { signature: IdTokenSignature; alg: string }[] = [];

  constructor(alg: string) {
    this.alg = alg;
  }

  bendNext(claims: Record<string, unknown>, header: Record<string, unknown>): void {
    this.#bent.push({ claims, header });
  }

  signNextWith(signature: IdTokenSignature, alg: string = signature === 'none' ? 'none' : signature instanceof Uint8Array ? 'HS256' : this.alg): void {
    this.#signatures.push({ signature, alg });
  }

  rotate(): void {
    this.#generation += 1;
  }

  async jwks(): Promise<{ keys: JWK[] }> {
    const { publicJwk } = await this.#key();
    return { keys: [publicJwk] };
  }

  async sign(claims: Record<string, unknown>): Promise<string> {
    const bent = this.#bent.shift();
    const key = await this.#key();
    const { signature, alg } = this.#signatures.shift() ?? { signature: key.privateKey, alg: this.alg };
    const payload = withoutUndefined({ ...claims, ...bent?.claims });
    const header = withoutUndefined({ alg, ...signature === 'none' ? {} : { kid: key.publicJwk.kid }, ...bent?.header });
    if (signature === 'none') return `${base64urlJson(header)}.${base64urlJson(payload)}.`;
    return new SignJWT(payload).setProtectedHeader({ alg, ...header }).sign(signature);
  }

  async #key(): Promise<SigningKey> {
    const kid = `${this.alg}-${this.#generation}`;
    const key = signingKeys.get(kid) ?? newSigningKey(this.alg, kid);
    signingKeys.set(kid, key);
    return key;
  }
}

async function newSigningKey(alg: string, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg);
  return { privateKey, publicJwk: { ...await exportJWK(publicKey), kid, alg, use: 'sig' } };
}

function withoutUndefined(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function base64urlJson(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
