/** The part of reflect-metadata that @peculiar/x509 asks for, through its container of dependencies. Import it before that package. */
const metadata = new WeakMap<object, Map<unknown, unknown>>();

const get = (key: unknown, target: object): unknown => metadata.get(target)?.get(key);

Object.assign(Reflect, {
  getMetadata: get,
  getOwnMetadata: get,
  defineMetadata(key: unknown, value: unknown, target: object): void {
    metadata.set(target, (metadata.get(target) ?? new Map<unknown, unknown>()).set(key, value));
  },
});
