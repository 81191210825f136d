import type { Provider } from 'oidc-provider';

/** oidc-provider warns while it's loaded on Node 20, although everything that is used here works there. */
export async function loadProvider(): Promise<typeof Provider> {
  const { warn } = console;
  console.warn = (...values: unknown[]) => {
    if (!String(values[0]).includes('Unsupported runtime')) warn(...values);
  };
  try {
    return (await import('oidc-provider')).Provider;
  } finally {
    console.warn = warn;
  }
}
