import { createPrivateKey, createPublicKey, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { createFetch, createTokenManager, selfSignedTlsClientAuth, tlsClientAuth, type ClientAuthentication, type ClientCertificate, type TokenManager, type TokenManagerOptions } from 'grantkeeper';
import { decodeJwt } from 'jose';
import { Agent, getGlobalDispatcher, MockAgent, setGlobalDispatcher } from 'undici';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { lazyAgents } from '../src/transport/agent.js';
import { everySpelling, textsOf } from './support/canary.js';
import { runProgram } from './support/child-process.js';
import { ManualClock } from './support/clock.js';
import { CookieUserAgent } from './support/cookie-user-agent.js';
import { failureOf, thrownBy } from './support/failure.js';
import { listenOnLoopback } from './support/loopback-server.js';
import { MapStore } from './support/map-store.js';
import { startOidcProvider, type OidcProvider } from './support/oidc-provider.js';
import { createTestCa, jwkOf, selfSignedCertificate, thumbprintOf, type IssuedCertificate, type TestCa } from './support/test-ca.js';
import { confirmationOf, startTlsApi, type TlsApi } from './support/tls-api.js';
import { peerCertificate } from './support/tls-mutual.js';
import { REDIRECT_URI } from './support/web-client.js';

const PASSPHRASE = 'p4ssphraseCanary+/é';

let ca: TestCa;
let otherCa: TestCa;
let server: IssuedCertificate;
/** Registered as `billing` by its subject. */
let billing: IssuedCertificate;
/** Registered as `shipping` by its name, and issued by a CA below the one that is trusted. */
let shipping: IssuedCertificate;
/** Registered as `reports` by itself. */
let reports: IssuedCertificate;
/** The key of `billing` under the passphrase, in both forms that there are. */
let sealed: { pkcs8: string; sec1: string };
let provider: OidcProvider;
let api: TlsApi;
/** On which connections the token requests came in that were granted. */
const granted: { origin: string; resumed: boolean }[] = [];

beforeAll(async () => {
  [ca, otherCa] = await Promise.all([createTestCa(), createTestCa('CN=Other CA')]);
  const intermediate = await ca.intermediate('CN=Test CA 2');
  [server, billing, shipping, reports] = await Promise.all([
    ca.server(),
    ca.client({ subject: 'CN=billing,O=Example' }),
    intermediate.client({ subject: 'CN=any', names: [{ type: 'dns', value: 'shipping.example.com' }] }),
    selfSignedCertificate({ subject: 'CN=reports' }),
  ]);
  shipping = { ...shipping, cert: `${shipping.cert}\n${intermediate.cert}` };
  sealed = { pkcs8: encrypted(billing.key, 'pkcs8'), sec1: encrypted(billing.key, 'sec1') };
  provider = await startOidcProvider({ clients: registrations(), tls: { ...server, ca: ca.cert } });
  provider.provider.on('grant.success', ({ req: { socket } }) => { granted.push({ origin: `https://127.0.0.1:${socket.localPort}`, resumed: socket instanceof TLSSocket && socket.isSessionReused() }); });
  api = await startTlsApi({ certificate: server, ca: ca.cert, issuer: provider.issuer });
});

afterAll(async () => {
  await api.close();
  await provider.close();
});

beforeEach(() => {
  granted.length = 0;
  api.requests.length = 0;
});

afterEach(() => {
  vi.unstubAllGlobals();
});

function registrations(): Parameters<typeof startOidcProvider>[0]['clients'] {
  const bound = { tls_client_certificate_bound_access_tokens: true };
  return [
    { ...bound, client_id: 'billing', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'O=Example,CN=billing' },
    { ...bound, client_id: 'shipping', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_san_dns: 'shipping.example.com' },
    { ...bound, client_id: 'web', token_endpoint_auth_method: 'tls_client_auth', tls_client_auth_subject_dn: 'O=Example,CN=billing', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], redirect_uris: [REDIRECT_URI] },
    { ...bound, client_id: 'reports', token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: { keys: [jwkOf(reports.cert)] } },
  ];
}

function client(clientAuthentication: ClientAuthentication, options: Partial<TokenManagerOptions> = {}): TokenManager {
  return createTokenManager({ issuer: provider.issuer, clientId: 'billing', clientAuthentication, retry: { minDelay: 0 }, ...options });
}

function originOf(listening: Server): string {
  return `https://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

const authenticated = (certificate: IssuedCertificate): ClientAuthentication => tlsClientAuth({ ...certificate, ca: ca.cert });

describe('a real authorization server over TLS', () => {
  test.each<[string, string, () => ClientAuthentication, () => IssuedCertificate]>([
    ['tls_client_auth, by the subject', 'billing', () => tlsClientAuth({ ...billing, ca: ca.cert }), () => billing],
    ['tls_client_auth, by a name, with the certificate of the issuing CA', 'shipping', () => tlsClientAuth({ ...shipping, ca: ca.cert }), () => shipping],
    ['self_signed_tls_client_auth', 'reports', () => selfSignedTlsClientAuth({ ...reports, ca: ca.cert }), () => reports],
  ])('knows the client by its certificate, and binds the token to it: %s', async (_case, clientId, authentication, certificate) => {
    const { value, type } = await client(authentication(), { clientId }).clientCredentials({ scope: 'read' }).getToken();
    const claims = decodeJwt(value);
    expect({ type, client: claims['client_id'] }).toEqual({ type: 'Bearer', client: clientId });
    expect(confirmationOf(claims)).toBe(thumbprintOf(certificate().cert));
  });

  test('C3 tokens of two certificates are never shared, those of one are', async () => {
    const store = new MapStore();
    const renewed = await ca.client({ subject: 'CN=billing,O=Example' });
    const tokenWith = async (certificate: IssuedCertificate): Promise<string> => (await client(authenticated(certificate), { store, encryptionKeys: false }).clientCredentials().getToken()).value;
    const first = await tokenWith(billing);
    expect(confirmationOf(decodeJwt(await tokenWith(renewed)))).toBe(thumbprintOf(renewed.cert));
    expect(await tokenWith(billing)).toBe(first);
  });

  test('is asked where it asks for certificates: at its mtls_endpoint_aliases', async () => {
    await client(authenticated(billing)).clientCredentials().getToken();
    expect(granted).toHaveLength(1);
    expect(granted[0]?.origin).not.toBe(provider.issuer);
  });

  test('is asked at its own port where it has no aliases', async () => {
    const issuer = await startOidcProvider({ clients: registrations(), tls: { ...server, ca: ca.cert, requestCert: true } });
    try {
      const { value } = await client(authenticated(billing), { issuer: issuer.issuer }).clientCredentials().getToken();
      expect(confirmationOf(decodeJwt(value))).toBe(thumbprintOf(billing.cert));
    } finally {
      await issuer.close();
    }
  });

  test('knows the client on every connection, resumed ones too', async () => {
    const confirmed = new Set<string | undefined>();
    // undici keeps TLS sessions for as long as the garbage collector lets it.
    for (let round = 0; round < 10 && !granted.some(({ resumed }) => resumed); round += 1) {
      const tokens = client(authenticated(billing));
      await tokens.clientCredentials().getToken();
      const many = await Promise.all(Array.from({ length: 5 }, async (_, index) => tokens.clientCredentials({ resource: `https://api.example.com/${index}` }).getToken()));
      for (const { value } of many) confirmed.add(confirmationOf(decodeJwt(value)));
    }
    expect(granted.map(({ resumed }) => resumed)).toContain(true);
    expect(confirmed).toEqual(new Set([thumbprintOf(billing.cert)]));
  });

  test.each<[string, () => Promise<IssuedCertificate>]>([
    ['of another subject', async () => ca.client({ subject: 'CN=someone,O=Example' })],
    ['of a CA that it does not trust', async () => otherCa.client({ subject: 'CN=billing,O=Example' })],
    ['that is signed by nobody', async () => selfSignedCertificate({ subject: 'CN=billing,O=Example' })],
  ])('refuses a certificate %s: the error says what to check', async (_case, certificate) => {
    const failure = await failureOf(client(authenticated(await certificate())).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', status: 401, error: 'invalid_client', retryable: false });
    expect(failure.message).toContain('certificate');
  });

  test('refuses a self-signed certificate that is not registered', async () => {
    const unknown = await selfSignedCertificate({ subject: 'CN=reports' });
    const failure = await failureOf(client(selfSignedTlsClientAuth({ ...unknown, ca: ca.cert }), { clientId: 'reports' }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', error: 'invalid_client' });
  });

  test('is not trusted unless a CA of `ca`, or of Node\'s, stands behind it', async () => {
    for (const authentication of [tlsClientAuth({ ...billing, ca: otherCa.cert }), tlsClientAuth(billing)]) {
      const failure = await failureOf(client(authentication, { server: { token_endpoint: `${provider.issuer}/token` }, issuer: undefined }).clientCredentials().getToken());
      expect(failure).toMatchObject({ code: 'server_unreachable', cause: { code: 'SELF_SIGNED_CERT_IN_CHAIN' } });
    }
    expect(await client(tlsClientAuth({ ...billing, ca: [otherCa.cert, Buffer.from(ca.cert)] })).clientCredentials().getToken()).toMatchObject({ type: 'Bearer' });
  });
});

describe('an API that checks the certificate (RFC 8705 section 3)', () => {
  test('takes a bound token over a connection with the same certificate, and with no other', async () => {
    const source = client(authenticated(billing)).clientCredentials();
    expect((await createFetch(source, { baseUrl: api.origin })('/')).status).toBe(200);
    expect(api.requests).toMatchObject([{ path: '/', thumbprint: thumbprintOf(billing.cert) }]);

    const headers = { authorization: `Bearer ${(await source.getToken()).value}` };
    const without = await lazyAgents(createSecureContext({ ca: ca.cert }))(false);
    const other = await authenticated(await ca.client({ subject: 'CN=thief' })).certificate?.dispatcher(false);
    for (const dispatcher of [without, other]) expect((await fetch(api.origin, { headers, dispatcher } as unknown as RequestInit)).status).toBe(401);
  });

  test('a foreign origin that a redirect leads to sees neither token nor certificate; an allowed one sees both', async () => {
    const foreign = await startTlsApi({ certificate: server, ca: ca.cert, issuer: provider.issuer });
    const usual = getGlobalDispatcher();
    const trusting = new Agent({ connect: { ca: ca.cert } });
    setGlobalDispatcher(trusting);
    try {
      const source = client(authenticated(billing)).clientCredentials();
      const elsewhere = `/?to=${encodeURIComponent(`${foreign.origin}/landed`)}`;
      expect((await createFetch(source, { baseUrl: api.origin })(elsewhere)).status).toBe(401);
      expect(foreign.requests).toEqual([{ path: '/landed', authorization: undefined, thumbprint: undefined }]);
      expect((await createFetch(source, { baseUrl: api.origin, origins: [foreign.origin] })(elsewhere)).status).toBe(200);
      expect(foreign.requests.at(-1)).toMatchObject({ path: '/landed', thumbprint: thumbprintOf(billing.cert) });
    } finally {
      setGlobalDispatcher(usual);
      await trusting.close();
      await foreign.close();
    }
  });
});

describe('a session of a client with a certificate', () => {
  test('is refreshed with it, and its tokens are taken over connections with it; its end revokes them with it', async () => {
    const usual = getGlobalDispatcher();
    const trusting = new Agent({ connect: { ca: ca.cert } });
    const tokens = client(authenticated(billing), { clientId: 'web' });
    const { url, transaction } = await tokens.startLogin({ redirectUri: REDIRECT_URI, scope: 'openid offline_access read', prompt: 'consent' });
    setGlobalDispatcher(trusting);
    const callback = await new CookieUserAgent(provider.issuer).follows(url);
    setGlobalDispatcher(usual);
    await trusting.close();

    const { session } = await tokens.completeLogin(callback, transaction);
    const first = await session.getToken();
    const second = await session.getToken({ rejected: first });
    expect(second.value).not.toBe(first.value);
    expect([first, second].map(({ value }) => confirmationOf(decodeJwt(value)))).toEqual([thumbprintOf(billing.cert), thumbprintOf(billing.cert)]);
    expect(granted.map(({ origin }) => origin)).not.toContain(provider.issuer);
    expect((await createFetch(session, { baseUrl: api.origin })('/')).status).toBe(200);
    expect(api.requests).toMatchObject([{ thumbprint: thumbprintOf(billing.cert) }]);

    const revoked: string[] = [];
    provider.provider.once('refresh_token.destroyed', () => { revoked.push('refresh token'); });
    await session.end();
    expect(revoked).toEqual(['refresh token']);
  });
});

describe('the connections', () => {
  const answering = (): ReturnType<typeof vi.fn<typeof fetch>> => vi.fn<typeof fetch>(async () => Promise.resolve(Response.json({ access_token: 'at-stub', token_type: 'Bearer' })));
  const unknownServer = { server: { token_endpoint: 'https://login.example.com/token' }, issuer: undefined };

  test('are made by an agent on first use: one that keeps the process alive, and one that doesn\'t', async () => {
    const { certificate } = authenticated(billing);
    const detached = await certificate?.dispatcher(true);
    expect(await certificate?.dispatcher(true)).toBe(detached);
    expect(await certificate?.dispatcher(false)).not.toBe(detached);
  });

  test('are also those of a fetch that is not the platform\'s', async () => {
    const send = answering();
    vi.stubGlobal('fetch', send);
    const authentication = authenticated(billing);
    await client(authentication, unknownServer).clientCredentials().getToken();
    expect(send.mock.calls[0]?.[1]).toHaveProperty('dispatcher', await authentication.certificate?.dispatcher(true));
    expect(new URLSearchParams(await new Response(send.mock.calls[0]?.[1]?.body).text()).get('client_id')).toBe('billing');
  });

  test('go after a dispatcher of the user\'s', async () => {
    const send = answering();
    vi.stubGlobal('fetch', send);
    const dispatcher = new MockAgent();
    await client(authenticated(billing), { ...unknownServer, dispatcher }).clientCredentials().getToken();
    expect(send.mock.calls[0]?.[1]).toHaveProperty('dispatcher', dispatcher);
    await dispatcher.close();
  });

  test('never resume at a port that asks for a certificate what began at one that doesn\'t', async () => {
    // As servers of one host do that share the keys of their session tickets.
    const shared = { ...server, ca: ca.cert, ticketKeys: Buffer.alloc(48, 7), rejectUnauthorized: false };
    const plain = await listenOnLoopback(0, shared);
    const asking = await listenOnLoopback(0, { ...shared, requestCert: true });
    const seen: (string | undefined)[] = [];
    for (const one of [plain, asking]) {
      one.on('request', (message, response) => {
        const certificate = peerCertificate(message.socket);
        seen.push(certificate && thumbprintOf(certificate));
        response.end();
      });
    }
    try {
      const dispatcher = await authenticated(billing).certificate?.dispatcher(true);
      for (const one of [plain, asking]) await (await fetch(originOf(one), { dispatcher } as unknown as RequestInit)).arrayBuffer();
      expect(seen).toEqual([undefined, thumbprintOf(billing.cert)]);
    } finally {
      for (const one of [plain, asking]) {
        one.close();
        one.closeAllConnections();
      }
    }
  });

  test('of the token manager don\'t keep the process alive, though a request is under way', async () => {
    const half = await listenOnLoopback(0, { ...server, ca: ca.cert, requestCert: true });
    half.on('request', (message, response) => {
      if (message.url === '/token') response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":"at-1","token_type":"Bearer"}');
    });
    try {
      const { stdout, stderr, code, timedOut } = await runProgram(`
        import { createTokenManager, tlsClientAuth } from 'grantkeeper';
        const { origin, certificate } = JSON.parse(process.env['GIVEN'] ?? '');
        const clientAuthentication = tlsClientAuth(certificate);
        const tokens = createTokenManager({ server: { token_endpoint: \`\${origin}/token\` }, clientId: 'billing', clientAuthentication });
        console.log((await tokens.clientCredentials().getToken()).value);
        fetch(\`\${origin}/silence\`, { dispatcher: await clientAuthentication.certificate?.dispatcher(true) } as RequestInit).catch(() => undefined);
      `, { limitMs: 10_000, env: { GIVEN: JSON.stringify({ origin: originOf(half), certificate: { ...billing, ca: ca.cert } }) } });
      expect({ stdout: stdout.trim(), stderr, code, timedOut }).toEqual({ stdout: 'at-1', stderr: '', code: 0, timedOut: false });
    } finally {
      half.close();
      half.closeAllConnections();
    }
  });
});

describe('a certificate that the connection fails for', () => {
  test('is a server that can\'t be reached: cut after the handshake of TLS 1.3, cut in that of 1.2', async () => {
    for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
      const strict = await listenOnLoopback(0, { ...server, ca: ca.cert, requestCert: true, rejectUnauthorized: true, minVersion: version, maxVersion: version });
      const options = { server: { token_endpoint: `${originOf(strict)}/token` }, issuer: undefined };
      const failure = await failureOf(client(authenticated(await selfSignedCertificate({ subject: 'CN=billing' })), options).clientCredentials().getToken());
      expect(failure).toMatchObject({ code: 'server_unreachable', retryable: true });
      expect(failure.message).toContain('The server may not have accepted the client certificate');
      strict.close();
    }
  });

  test('is named by the alert of the server, if it sends one', async () => {
    // A fatal alert 'unknown_ca' (RFC 8446 section 6).
    const alerting = createTcpServer((socket) => { socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 48]))); });
    alerting.listen(0, '127.0.0.1');
    await once(alerting, 'listening');
    const options = { server: { token_endpoint: `${originOf(alerting)}/token` }, issuer: undefined };
    const failure = await failureOf(client(authenticated(billing), options).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'server_unreachable' });
    expect(failure.message).toMatch(/ERR_SSL_TLSV1_ALERT_UNKNOWN_CA.*The server may not have accepted the client certificate/);
    alerting.close();
  });
});

describe('a refusal', () => {
  test('says that the certificate must be the registered one', async () => {
    const stranger = await ca.client({ subject: 'CN=stranger,O=Example' });
    const failure = await failureOf(client(authenticated(stranger)).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'token_request_failed', error: 'invalid_client' });
    expect(failure.message).toContain('The certificate that is presented must be the one that is registered for the client');
  });
});

describe('the time of the certificate', () => {
  test('that is over is said before anything is sent, with its end', async () => {
    const expired = await ca.client({ subject: 'CN=billing,O=Example', notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2026-02-01T00:00:00Z') });
    const clock = new ManualClock(Date.parse('2026-02-01T00:00:00Z'));
    const tokens = client(authenticated(expired), { clock });
    expect((await failureOf(tokens.clientCredentials({ scope: 'read' }).getToken())).code).not.toBe('invalid_configuration');
    clock.advance(1);
    const failure = await failureOf(tokens.clientCredentials({ scope: 'write' }).getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
    expect(failure.message).toMatch(/^tlsClientAuth: .*expired on Feb {2}1 00:00:00 2026 GMT: renew it/);
    expect(granted).toEqual([]);
  });

  test('that has not begun is said, with its beginning', async () => {
    const early = await ca.client({ subject: 'CN=billing,O=Example', notBefore: new Date('2031-01-01T00:00:00Z'), notAfter: new Date('2032-01-01T00:00:00Z') });
    const clock = new ManualClock(Date.parse('2030-12-31T23:59:59.999Z'));
    // Nobody listens there: discovery would say so.
    const failure = await failureOf(client(authenticated(early), { clock, issuer: 'https://127.0.0.1:1' }).clientCredentials().getToken());
    expect(failure).toMatchObject({ code: 'invalid_configuration' });
    expect(failure.message).toMatch(/not valid before Jan {2}1 00:00:00 2031 GMT: renew it/);
    clock.advance(1);
    expect((await failureOf(client(authenticated(early), { clock }).clientCredentials().getToken())).code).not.toBe('invalid_configuration');
  });
});

function encrypted(key: string, type: 'pkcs8' | 'sec1'): string {
  return createPrivateKey(key).export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE }) as string;
}

const publicKeyOf = (key: string): string => createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string;

const damaged = (pem: string): string => pem.replace(/\n[^-\n]{10}/, '\nAAAAAAAAAA');

interface BadInput {
  readonly case: string;
  readonly options: () => ClientCertificate | Promise<ClientCertificate>;
  readonly says: RegExp;
}

const badInputs: BadInput[] = [
  { case: 'the name of a file as certificate', options: () => ({ ...billing, cert: '/etc/tls/client.pem' }), says: /`cert` holds no certificate that can be read: pass the text of a PEM file/ },
  { case: 'a damaged certificate', options: () => ({ ...billing, cert: damaged(billing.cert) }), says: /`cert` holds no certificate/ },
  { case: 'a key as certificate', options: () => ({ ...billing, cert: billing.key }), says: /`cert` holds no certificate/ },
  { case: 'a certificate in DER', options: () => ({ ...billing, cert: Buffer.from(billing.cert.replace(/-----.*-----|\s/g, ''), 'base64') }), says: /`cert` holds no certificate/ },
  { case: 'a damaged certificate further down the chain', options: () => ({ ...billing, cert: `${billing.cert}\n${damaged(ca.cert)}` }), says: /`cert` holds no certificate/ },
  { case: 'a key that is none', options: () => ({ ...billing, key: 'k3yCanary' }), says: /`key` holds no private key that can be read: pass the text of a PEM file/ },
  { case: 'a damaged key', options: () => ({ ...billing, key: damaged(billing.key) }), says: /`key` holds no private key/ },
  { case: 'a certificate as key', options: () => ({ ...billing, key: billing.cert }), says: /`key` holds no private key/ },
  { case: 'a public key', options: () => ({ ...billing, key: publicKeyOf(billing.key) }), says: /`key` holds no private key/ },
  { case: 'an encrypted key without its passphrase', options: () => ({ ...billing, key: sealed.pkcs8 }), says: /`key` is encrypted: pass its `passphrase`$/ },
  { case: 'an encrypted key of the older form without its passphrase', options: () => ({ ...billing, key: sealed.sec1 }), says: /`key` is encrypted: pass its `passphrase`$/ },
  { case: 'a wrong passphrase', options: () => ({ ...billing, key: sealed.pkcs8, passphrase: `${PASSPHRASE}!` }), says: /`key` can't be opened with `passphrase`: pass the one/ },
  { case: 'a key of another certificate', options: () => ({ ...billing, key: reports.key }), says: /the private key in `key` does not belong to the first certificate in `cert`: pass the pair/ },
  { case: 'a chain that begins with the issuer', options: () => ({ ...billing, cert: `${ca.cert}\n${billing.cert}` }), says: /does not belong to the first certificate/ },
  { case: 'a CA that is none', options: () => ({ ...billing, ca: 'nothing' }), says: /`ca` holds no certificate that can be read/ },
  { case: 'one of the CAs that is none', options: () => ({ ...billing, ca: [ca.cert, damaged(ca.cert)] }), says: /`ca` holds no certificate that can be read/ },
  { case: 'no CA', options: () => ({ ...billing, ca: [] }), says: /`ca` must be certificates in PEM: a string, a Buffer or a list of them; received a list of 0$/ },
  { case: 'no certificate', options: () => ({ key: billing.key }) as ClientCertificate, says: /`cert` must be a certificate in PEM, as a string or Buffer; received nothing$/ },
  { case: 'no key', options: () => ({ cert: billing.cert }) as ClientCertificate, says: /`key` must be a private key in PEM, as a string or Buffer; received nothing$/ },
  { case: 'a key object', options: () => ({ ...billing, key: createPrivateKey(billing.key) as unknown as string }), says: /`key` must be a private key in PEM, as a string or Buffer; received an object/ },
  { case: 'an empty passphrase', options: () => ({ ...billing, passphrase: '' }), says: /`passphrase` must be a non-empty string; received an empty string$/ },
  { case: 'an unknown option', options: () => ({ ...billing, pfx: 'x' }) as ClientCertificate, says: /unknown option `pfx`/ },
  { case: 'nothing', options: () => undefined as unknown as ClientCertificate, says: /the options must be an object; received nothing$/ },
  { case: 'a key that is too small for TLS', options: async () => selfSignedCertificate({ subject: 'CN=small' }, await smallKeys()), says: /TLS can't be spoken with this certificate and key \(ERR_SSL_\w+\): have a certificate issued/ },
];

async function smallKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey({ name: 'RSASSA-PKCS1-v1_5', modulusLength: 512, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }, true, ['sign', 'verify']);
}

/** Lines of a PEM, and what they hold, in every spelling: of the private keys and the passphrase. */
function needles(): string[] {
  const keys = [billing.key, reports.key, sealed.pkcs8, sealed.sec1];
  const lines = keys.flatMap((key) => key.split('\n').filter((line) => /^[A-Za-z0-9+/=]{20,}$/.test(line)));
  const numbers = [billing.key, reports.key].map((key) => createPrivateKey(key).export({ format: 'jwk' }).d ?? '').flatMap((d) => [d, Buffer.from(d, 'base64url').toString('hex')]);
  return [...lines, ...numbers, 'p4ssphraseCanary', 'k3yCanary', ...everySpelling(PASSPHRASE).map(([, spelling]) => spelling)];
}

function expectNoCanary(what: string, value: unknown): void {
  for (const text of textsOf(value)) expect(needles().find((needle) => text.includes(needle)), `${what} shows it`).toBeUndefined();
}

describe('what can be seen to be wrong is refused when it is made', () => {
  test.each(badInputs)('$case', async ({ options, says }) => {
    const given = await options();
    for (const [make, name] of [[tlsClientAuth, 'tlsClientAuth'], [selfSignedTlsClientAuth, 'selfSignedTlsClientAuth']] as const) {
      const failure = thrownBy(() => make(given));
      expect(failure).toMatchObject({ code: 'invalid_configuration', retryable: false });
      expect(failure.message).toMatch(says);
      expect(failure.message.startsWith(`${name}: `)).toBe(true);
      expectNoCanary('the error', failure);
    }
  });

  test.each<[string, () => ClientCertificate]>([
    ['Buffers', () => ({ cert: Buffer.from(billing.cert), key: Buffer.from(billing.key), ca: Buffer.from(ca.cert) })],
    ['an encrypted key with its passphrase', () => ({ ...billing, key: sealed.pkcs8, passphrase: PASSPHRASE, ca: ca.cert })],
    ['an encrypted key of the older form', () => ({ ...billing, key: sealed.sec1, passphrase: PASSPHRASE, ca: ca.cert })],
    ['a key that isn\'t encrypted, with a passphrase', () => ({ ...billing, passphrase: PASSPHRASE, ca: ca.cert })],
    ['one file with both', () => ({ cert: `${billing.key}\n${billing.cert}`, key: `${billing.cert}\n${billing.key}`, ca: ca.cert })],
  ])('what is right gets a token: %s', async (_case, options) => {
    expect(await client(tlsClientAuth(options())).clientCredentials().getToken()).toMatchObject({ type: 'Bearer' });
  });

  test('a method is frozen, has its registered name, and says whose certificate it is', () => {
    for (const [authentication, method] of [[tlsClientAuth(billing), 'tls_client_auth'], [selfSignedTlsClientAuth(billing), 'self_signed_tls_client_auth']] as const) {
      expect(authentication).toMatchObject({ method, certificate: { thumbprint: thumbprintOf(billing.cert) } });
      expect([Object.isFrozen(authentication), Object.isFrozen(authentication.certificate)]).toEqual([true, true]);
    }
  });

  test('the certificate that was passed is not changed, and may be changed afterwards', async () => {
    const options = { cert: Buffer.from(billing.cert), key: Buffer.from(billing.key), ca: [ca.cert] };
    const tokens = client(tlsClientAuth(Object.freeze({ ...options })));
    options.cert.fill(0);
    options.key.fill(0);
    expect(await tokens.clientCredentials().getToken()).toMatchObject({ type: 'Bearer' });
  });
});

describe('S1 nothing of the key and the passphrase is seen', () => {
  test('S1 the search finds what there is to find', () => {
    for (const leak of [new Error(PASSPHRASE), { key: billing.key }, { options: { connect: { key: sealed.pkcs8 } } }, createPrivateKey(billing.key).export({ format: 'jwk' })]) {
      expect(() => { expectNoCanary('a leak', leak); }).toThrow('a leak shows it');
    }
  });

  test('S1 in the authentication, its agents, the manager, tokens, errors', async () => {
    const authentication = tlsClientAuth({ ...billing, key: sealed.pkcs8, passphrase: PASSPHRASE, ca: ca.cert });
    const tokens = client(authentication);
    const token = await tokens.clientCredentials().getToken();
    const response = await createFetch(tokens.clientCredentials(), { baseUrl: api.origin })('/');
    const refused = await failureOf(client(authentication, { clientId: 'reports' }).clientCredentials().getToken());
    const unreachable = await failureOf(client(tlsClientAuth({ ...billing, key: sealed.pkcs8, passphrase: PASSPHRASE, ca: otherCa.cert }), { server: { token_endpoint: `${provider.issuer}/token` }, issuer: undefined }).clientCredentials().getToken());
    const agents = [await authentication.certificate?.dispatcher(true), await authentication.certificate?.dispatcher(false)];
    expect(response.status).toBe(200);
    for (const [what, value] of Object.entries({ authentication, certificate: authentication.certificate, agents, tokens, token, response, refused, unreachable })) expectNoCanary(what, value);
  });
});
