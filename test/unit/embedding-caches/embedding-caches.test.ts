import fc from 'fast-check';
import Keyv from 'keyv';
import { describe, expect, it } from 'vitest';
import type { EmbeddingCache } from '#src/core/ports/embedding-cache.js';
import { KeyvEmbeddingCache } from '#src/embedding-caches/keyv/keyv-embedding-cache.js';
import { MemoryEmbeddingCache } from '#src/embedding-caches/memory/memory-embedding-cache.js';

const caches: readonly [string, () => EmbeddingCache][] = [
  ['MemoryEmbeddingCache', () => new MemoryEmbeddingCache()],
  ['KeyvEmbeddingCache', () => new KeyvEmbeddingCache(new Keyv())],
];
const float32 = fc.float({ noNaN: true, noDefaultInfinity: true });
const vectors = fc.array(fc.tuple(fc.string({ minLength: 1 }), fc.float32Array({ minLength: 1, maxLength: 20 })), {
  minLength: 1,
});

describe.each(caches)('%s', (_, open) => {
  it('gives back each vector bit by bit, in the order of the keys, and nothing for other keys', async () => {
    const entries = fc.uniqueArray(fc.tuple(fc.string({ minLength: 1 }), fc.array(float32, { minLength: 1 })), {
      selector: ([key]) => key,
      minLength: 1,
    });
    await fc.assert(
      fc.asyncProperty(entries, async (list) => {
        const cache = open();
        const given = list.map(([key, values]) => ({ key, vector: Float32Array.from(values) }));
        await cache.setMany(given);
        const keys = [...given.map(({ key }) => key).toReversed(), 'not there '];
        const found = await cache.getMany(keys);
        expect(found).toHaveLength(keys.length);
        expect(found.slice(0, -1).map((vector) => Buffer.from(vector!.buffer).toString('hex'))).toEqual(
          given.toReversed().map(({ vector }) => Buffer.from(vector.buffer).toString('hex')),
        );
        expect(found.at(-1)).toBe(undefined);
      }),
      { numRuns: 50 },
    );
  });

  it('shares no memory with its caller', async () => {
    const cache = open();
    const vector = Float32Array.of(1, 2);
    await cache.setMany([{ key: 'a', vector }]);
    vector[0] = 9;
    const [first] = await cache.getMany(['a']);
    first![1] = 9;
    expect(await cache.getMany(['a'])).toEqual([Float32Array.of(1, 2)]);
  });

  it('takes nothing for nothing', async () => {
    const cache = open();
    await cache.setMany([]);
    expect(await cache.getMany([])).toEqual([]);
  });
});

describe('MemoryEmbeddingCache', () => {
  it('never holds more than its bytes, and forgets what was used longest ago', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2_000 }), vectors, async (maxBytes, list) => {
        const cache = new MemoryEmbeddingCache({ maxBytes });
        for (const [key, vector] of list) {
          await cache.setMany([{ key, vector }]);
          expect(cache.byteCount).toBeLessThanOrEqual(maxBytes);
        }
      }),
    );
    const cache = new MemoryEmbeddingCache({ maxBytes: 700 });
    const entry = (key: string) => ({ key, vector: new Float32Array(4) });
    await cache.setMany([entry('a'), entry('b'), entry('c')]);
    await cache.getMany(['a']);
    await cache.setMany([entry('d')]);
    const kept = await cache.getMany(['a', 'b', 'c', 'd']);
    expect(kept.map((vector) => vector !== undefined)).toEqual([true, false, true, true]);
  });

  it.each([0, -1, 1.5, Number.NaN, '1'])('refuses %j bytes', (maxBytes) => {
    expect(() => new MemoryEmbeddingCache({ maxBytes: maxBytes as number })).toThrowError(
      expect.objectContaining({ code: 'invalid_input' }),
    );
  });
});

describe('KeyvEmbeddingCache', () => {
  it.each([null, 7, '', 'x', 'AAA', '????', { a: 1 }, [1, 2], 'AADAfw=='])(
    'takes %j in the store for nothing',
    async (value) => {
      const keyv = new Keyv();
      await keyv.set('a', value);
      expect(await new KeyvEmbeddingCache(keyv).getMany(['a'])).toEqual([undefined]);
    },
  );

  it('keeps a vector for as long as it is told to', async () => {
    const ttls: unknown[] = [];
    const keyv = { get: async () => [], set: async (...values: unknown[]) => ttls.push(values[2]) };
    await new KeyvEmbeddingCache(keyv, { ttlMs: 5_000 }).setMany([{ key: 'a', vector: Float32Array.of(1) }]);
    await new KeyvEmbeddingCache(keyv).setMany([{ key: 'a', vector: Float32Array.of(1) }]);
    expect(ttls).toEqual([5_000, undefined]);
  });

  it('refuses what is not a Keyv', () => {
    expect(() => new KeyvEmbeddingCache({} as never)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
  });
});
