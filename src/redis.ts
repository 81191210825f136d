import { createHash } from 'node:crypto';
import type { Lock } from './cache/lock.js';
import { OAuthError } from './errors.js';
import { having, invalid, shapeOf } from './validation.js';

export type { Lock } from './cache/lock.js';

/** Of the package `redis`, versions 4 to 6: what `createClient`, `createClientPool`, `createCluster` and `createSentinel` give. */
export interface NodeRedisClient {
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  evalSha(sha1: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

/** Of the package `ioredis`: a `Redis` or a `Cluster`. */
export interface IORedisClient {
  eval(script: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>;
  evalsha(sha1: string, numberOfKeys: number, ...keysAndArguments: string[]): Promise<unknown>;
}

export type RedisClient = NodeRedisClient | IORedisClient;

/** Milliseconds for which the last fence of a name is remembered after its last lease: far longer than a process may sleep over a write. */
const fenceLifetime = 24 * 60 * 60_000;

/**
 * What all scripts begin with. One hash per name, `{ owner, ends, fence }`, so that it lives in one slot of a cluster and is forgotten as a whole.
 * Leases go by Redis's clock, the only one that all processes share.
 */
const reading = `
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local owner, ends, fence = unpack(redis.call('HMGET', KEYS[1], 'owner', 'ends', 'fence'))
  local left = (tonumber(ends) or 0) - now
`;

/** Gives the fence, or the milliseconds that somebody else's lease has left, below zero. */
const acquiring = script(`${reading}
  if left > 0 and owner ~= ARGV[1] then return -left end
  if left <= 0 then fence = math.max(tonumber(fence) or 0, tonumber(ARGV[3])) + 1 end
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'ends', now + ARGV[2], 'fence', fence)
  redis.call('PEXPIRE', KEYS[1], ARGV[2] + ${fenceLifetime})
  return tonumber(fence)
`);

const renewing = script(`${reading}
  if left <= 0 or owner ~= ARGV[1] then return 0 end
  redis.call('HSET', KEYS[1], 'ends', now + ARGV[2])
  return redis.call('PEXPIRE', KEYS[1], ARGV[2] + ${fenceLifetime})
`);

const releasing = script(`
  if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
  return redis.call('HDEL', KEYS[1], 'owner', 'ends')
`);

/**
 * The lock of processes that share a Redis (5 or later) or a Valkey, alone or as a cluster.
 *
 * The client is yours: connected by you, closed by you, and node-redis ends the process unless it has a listener for `error`. Nothing has to be set up.
 * Each name that was locked within a day takes one key of some 200 bytes, `grantkeeper:lock:{..}`.
 *
 * A Redis that forgets a lock that is held (restarted without persistence, failed over to a replica that lagged, or told to evict keys) may give it to two
 * processes at a time: then a refresh token may be used twice, which some servers take for a theft.
 *
 * @param client of node-redis or ioredis
 * @throws OAuthError `invalid_configuration`
 */
export function redisLock(client: RedisClient): Lock {
  const evaluate = evaluatorOf(client);
  return {
    async acquire(name, owner, leaseMs, fenceAtLeast) {
      const answer = await evaluate(acquiring, name, [owner, whole(leaseMs), String(fenceAtLeast)]);
      return answer > 0 ? { fence: answer } : { busy: -answer };
    },
    renew: async (name, owner, leaseMs) => (await evaluate(renewing, name, [owner, whole(leaseMs)])) === 1,
    async release(name, owner) {
      await evaluate(releasing, name, [owner]);
    },
  };
}

interface Script {
  readonly text: string;
  readonly sha1: string;
}

function script(text: string): Script {
  return { text, sha1: createHash('sha1').update(text).digest('hex') };
}

type Evaluate = (script: Script, name: string, values: string[]) => Promise<number>;

function evaluatorOf(client: RedisClient): Evaluate {
  const { byText, byDigest } = callsOf(client);
  return async ({ text, sha1 }, name, values) => {
    const key = `grantkeeper:lock:{${name}}`;
    const answer = await byDigest(sha1, key, values).catch(async (thrown: unknown) => {
      if (errorWordOf(thrown) !== unknownScript) throw thrown;
      return byText(text, key, values);
    }).catch((thrown: unknown) => {
      const word = errorWordOf(thrown);
      throw word === undefined ? thrown : new OAuthError('store_failed', `Redis answered ${word}`, { cause: thrown });
    });
    // Some clients are set to give numbers as strings.
    if (!/^-?\d+$/.test(String(answer))) throw new OAuthError('store_failed', 'the client answered something else than a number');
    return Number(answer);
  };
}

type Call = (script: string, key: string, values: string[]) => Promise<unknown>;

function callsOf(client: RedisClient): { readonly byText: Call; readonly byDigest: Call } {
  if (isNodeRedis(client)) {
    return {
      byText: async (text, key, values) => client.eval(text, { keys: [key], arguments: values }),
      byDigest: async (sha1, key, values) => client.evalSha(sha1, { keys: [key], arguments: values }),
    };
  }
  if (isIORedis(client)) {
    return {
      byText: async (text, key, values) => client.eval(text, 1, key, ...values),
      byDigest: async (sha1, key, values) => client.evalsha(sha1, 1, key, ...values),
    };
  }
  throw invalid(`redisLock: the client must be one of node-redis (createClient) or of ioredis (new Redis); received ${shapeOf(client)}`);
}

function isNodeRedis(client: RedisClient): client is NodeRedisClient {
  return having('eval', 'evalSha').accepts(client);
}

function isIORedis(client: RedisClient): client is IORedisClient {
  return having('eval', 'evalsha').accepts(client);
}

/** Of a server that was started anew, or joined, and has yet to be told the script. */
const unknownScript = 'NOSCRIPT';

/** The first word of an error that Redis answered, e.g. `NOAUTH`: the rest may have names and values in it. */
function errorWordOf(thrown: unknown): string | undefined {
  return thrown instanceof Error ? /^([A-Z]{3,20}) /.exec(thrown.message)?.[1] : undefined;
}

/** Redis refuses fractions of milliseconds. */
function whole(milliseconds: number): string {
  return String(Math.ceil(milliseconds));
}
