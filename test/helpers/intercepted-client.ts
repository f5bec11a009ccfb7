import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';

// biome-ignore lint/suspicious/noExplicitAny: arguments of any method
export type Intercept = (method: string, values: any[], goOn: () => Promise<any>) => unknown;

/**
 * An engine in memory, behind a client whose calls a test sees, and answers in the engine's place where it does not go
 * on.
 */
export async function interceptedClient(intercept: Intercept): Promise<QdrantClientLike> {
  const engine = (await LocalQdrantClient.open({ location: ':memory:' })) as unknown as QdrantClientLike;
  return new Proxy(engine, {
    get(target, key) {
      // A client for one caller would not be seen.
      if (key === 'forCaller') return undefined;
      const value = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return async (...values: unknown[]) => intercept(String(key), values, async () => value.apply(target, values));
    },
  });
}

/** As the real client refuses a request. */
export function refusal(status: number): Error {
  return Object.assign(new Error('refused'), { status });
}
