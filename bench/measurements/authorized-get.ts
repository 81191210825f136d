import { count, decimals, median, medianRatio } from '../figures.js';
import type { Measurement, Result, Target } from '../measurement.js';
import { interleave, throughput } from '../rounds.js';
import { startApi, startTokenEndpoint, type Api } from '../servers/start.js';
import { variants, type Variant, type Variants } from '../variants.js';

const sliceMs = 250;
const roundsAt = new Map([[1, 15], [32, 25]]);
const concurrencies = [...roundsAt.keys()];
/** The compiler takes seconds to settle on the many layers of fetch. */
const warmUpMs = 3000;

interface Figures { readonly variant: Variant; readonly concurrency: number; readonly rate: number; readonly ratio: number }

const authorizedGet: Measurement = async (progress) => {
  const [api, tokens] = await Promise.all([startApi(), startTokenEndpoint()]);
  const all = await variants(`${api.origin}/`, tokens.url());
  const contestants = [all.bareFetch, all.undiciRequest, all.createFetch, ...all.peers];
  for (const variant of contestants) await checkAuthorization(api, variant);
  const figures: Figures[] = [];
  progress(`${contestants.length} x ${warmUpMs} ms to warm up`);
  for (const { get } of contestants) await throughput(get, 32, warmUpMs);
  for (const [concurrency, rounds] of roundsAt) {
    progress(`concurrency ${concurrency}: ${rounds} rounds of ${contestants.length} x ${sliceMs} ms`);
    figures.push(...await measure(contestants, all.bareFetch, concurrency, rounds));
  }
  const { refused } = await api.counts();
  if (refused > 0) throw new Error(`${refused} requests came without a valid token`);
  await Promise.all([api.stop(), tokens.stop()]);
  return report(all, contestants, figures);
};

/** A variant that forgot the token would win unfairly. */
async function checkAuthorization(api: Api, variant: Variant): Promise<void> {
  const before = await api.counts();
  for (let i = 0; i < 10; i++) await variant.get();
  const after = await api.counts();
  if (after.authorized - before.authorized !== 10) throw new Error(`${variant.name}: the API saw no token`);
}

async function measure(contestants: readonly Variant[], reference: Variant, concurrency: number, rounds: number): Promise<Figures[]> {
  const rates = await interleave(
    contestants.map(({ name, get }) => ({ name, slice: () => throughput(get, concurrency, sliceMs) })),
    rounds,
  );
  const bare = rates[contestants.indexOf(reference)] ?? [];
  return contestants.map((variant, index) => {
    const own = rates[index] ?? [];
    return { variant, concurrency, rate: median(own), ratio: medianRatio(own, bare) };
  });
}

function report(all: Variants, contestants: readonly Variant[], figures: readonly Figures[]): Result {
  const find = (variant: Variant, concurrency: number): Figures => {
    const found = figures.find((one) => one.variant === variant && one.concurrency === concurrency);
    if (found === undefined) throw new Error(`${variant.name} was not measured`);
    return found;
  };
  const ours = find(all.createFetch, 32).ratio;
  return {
    title: 'Warm authorized GET',
    method: `One process asks an API in its own process for 84 bytes of JSON and reads them; ${[...roundsAt.values()].join(' and ')} rounds of ${sliceMs} ms per variant, interleaved, after ${warmUpMs / 1000} s of each to warm up; the median of the rounds, and the median of each round's ratio to the bare global fetch on the same undici Agent.`,
    table: {
      columns: ['variant', ...concurrencies.flatMap((c) => [`requests/s at ${c}`, `ratio at ${c}`])],
      rows: contestants.map((variant) => [
        variant.name,
        ...concurrencies.flatMap((c) => [count(find(variant, c).rate), decimals(find(variant, c).ratio)]),
      ]),
    },
    targets: [
      { what: '`createFetch` against the bare global fetch, concurrency 32', target: '>= 0.95', measured: decimals(ours, 3), reached: ours >= 0.95 },
      ...concurrencies.map((concurrency): Target => {
        const own = find(all.createFetch, concurrency).rate;
        const best = Math.max(...all.peers.map((peer) => find(peer, concurrency).rate));
        return { what: `\`createFetch\` against the fastest peer's wrapper, concurrency ${concurrency}`, target: '> 1', measured: decimals(own / best), reached: own > best };
      }),
    ],
    remarks: ['`@badgateway/oauth2-client` has no option for a dispatcher and gets the same Agent as the global one; `google-auth-library` uses node-fetch on `http.globalAgent`.'],
  };
}

export default authorizedGet;
