import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';

const changing = [
  'createCollection',
  'updateCollection',
  'deleteCollection',
  'createPayloadIndex',
  'updateCollectionAliases',
  'upsert',
  'delete',
];

/** A process that dies at its n-th change: before it, or after the server made it and before its answer came. */
export function dyingClient(
  local: QdrantClientLike,
  dieAt: number,
  isBefore: boolean,
  afterEach: () => Promise<void> = async () => {},
): { client: QdrantClientLike; changeCount: () => number } {
  let count = 0;
  const client = new Proxy(local, {
    get(target, key) {
      // A client for one caller would not be seen.
      if (key === 'forCaller') return undefined;
      const value = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return async (...values: unknown[]) => {
        if (!changing.includes(String(key))) return value.apply(target, values);
        if (count >= dieAt && dieAt > 0) throw new Error('dead');
        count++;
        if (count === dieAt && isBefore) throw new Error('dead');
        const result = await value.apply(target, values);
        await afterEach();
        if (count === dieAt) throw new Error('dead');
        return result;
      };
    },
  });
  return { client, changeCount: () => count };
}
