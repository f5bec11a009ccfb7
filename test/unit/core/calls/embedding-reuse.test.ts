import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EmbeddingReuse, type ReuseScope } from '#src/core/calls/embedding-reuse.js';
import { MemoryEmbeddingCache } from '#src/embedding-caches/memory/memory-embedding-cache.js';

const scope: ReuseScope = { tenantId: 1, space: 's', inputType: 'document', truncate: false };
const vectorOf = (text: string) => Float32Array.of(text.length, text.codePointAt(0) ?? 0);

function setUp(options: Partial<ConstructorParameters<typeof EmbeddingReuse>[0]> = {}) {
  const reuse = new EmbeddingReuse({ cache: new MemoryEmbeddingCache(), ...options });
  const embedded: string[] = [];
  const call = async (texts: readonly string[], own: Partial<ReuseScope> = {}, before?: () => Promise<unknown>) => {
    const vectors: (Float32Array | undefined)[] = texts.map(() => undefined);
    const report = (at: number, vector: Float32Array) => {
      vectors[at] = vector;
      return true;
    };
    const { reusedCount } = await reuse.fill(texts, { ...scope, ...own }, report, async (positions, done) => {
      await before?.();
      embedded.push(...positions.map((at) => texts[at]!));
      for (const at of positions) {
        done(at, vectorOf(texts[at]!));
        report(at, vectorOf(texts[at]!));
      }
    });
    return { vectors, reusedCount };
  };
  return { reuse, embedded, call };
}

describe('EmbeddingReuse', () => {
  it('embeds a text once for a tenant, a space and an input type', async () => {
    const { call, embedded } = setUp();
    await call(['a', 'b']);
    expect(await call(['b', 'c', 'a'])).toEqual({ vectors: ['b', 'c', 'a'].map(vectorOf), reusedCount: 2 });
    expect(embedded).toEqual(['a', 'b', 'c']);
    for (const other of [{ tenantId: 2 }, { space: 't' }, { inputType: 'query' as const }, { truncate: true }]) {
      expect((await call(['a'], other)).reusedCount).toBe(0);
    }
  });

  it('shares between tenants only if it is told to', async () => {
    const { call } = setUp({ isShared: true });
    await call(['a']);
    expect((await call(['a'], { tenantId: 2 })).reusedCount).toBe(1);
  });

  it('makes keys that hold no text and need the secret', () => {
    const keys = [{ secret: 'x'.repeat(16) }, { secret: 'y'.repeat(16) }, {}, {}].map((options) =>
      setUp(options).reuse.keysOf(['a secret text'], scope),
    );
    expect(new Set(keys.flat()).size).toBe(4);
    expect(keys.flat().every((key) => /^pulse:embedding:1:1:[\w-]{43}$/.test(key))).toBe(true);
    const again = setUp({ secret: 'x'.repeat(16) }).reuse.keysOf(['a secret text'], scope);
    expect(again).toEqual(keys[0]);
  });

  it('makes one request of equal texts that are asked for at once', async () => {
    const { call, embedded } = setUp();
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const first = call(['a', 'b'], {}, () => gate);
    const second = call(['b', 'c']);
    await new Promise(setImmediate);
    release();
    expect((await Promise.all([first, second])).map(({ reusedCount }) => reusedCount)).toEqual([0, 1]);
    expect(embedded.toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('asks for itself if the call that it waited for fails, and ends with its own abort', async () => {
    const { call, embedded } = setUp();
    let fail = (_: Error) => {};
    const gate = new Promise<void>((_, reject) => {
      fail = reject;
    });
    const first = call(['a'], {}, () => gate);
    const second = call(['a']);
    const controller = new AbortController();
    const third = call(['a'], { signal: controller.signal });
    await new Promise(setImmediate);
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(third).rejects.toBe(reason);
    fail(new Error('away'));
    await expect(first).rejects.toThrow('away');
    expect((await second).vectors).toEqual([vectorOf('a')]);
    expect(embedded).toEqual(['a']);
  });

  it('keeps what came before a failure', async () => {
    const { reuse, call, embedded } = setUp();
    const failing = reuse.fill(
      ['a', 'b'],
      scope,
      () => true,
      async (_positions, done) => {
        done(0, vectorOf('a'));
        throw new Error('away');
      },
    );
    await expect(failing).rejects.toThrow('away');
    expect((await call(['a', 'b'])).reusedCount).toBe(1);
    expect(embedded).toEqual(['b']);
  });

  it('embeds as if nothing were kept while the cache fails or is silent, and says so once', async () => {
    for (const getMany of [() => Promise.reject(new Error('away')), () => new Promise<never>(() => {})]) {
      const warnings: string[] = [];
      const logger = { warn: (_: unknown, message: string) => warnings.push(message) };
      const cache = { getMany, setMany: () => Promise.reject(new Error('away')) };
      const reuse = new EmbeddingReuse({ cache, timeoutMs: 5 }, logger as never);
      for (let round = 0; round < 3; round++) {
        let asked = 0;
        const { reusedCount } = await reuse.fill(
          ['a'],
          scope,
          () => true,
          async (positions, done) => {
            asked += positions.length;
            done(0, vectorOf('a'));
          },
        );
        expect([reusedCount, asked]).toEqual([0, 1]);
      }
      expect(warnings).toHaveLength(1);
    }
  });

  it('gives every call the vectors of its texts, however calls interleave and fail', async () => {
    const calls = fc.array(
      fc.record({ texts: fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1 }), fails: fc.boolean() }),
      { maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), calls, async (scheduler, list) => {
        const { reuse } = setUp();
        const runs = list.map(async ({ texts, fails }) => {
          const vectors = new Map<number, Float32Array>();
          const outcome = await reuse
            .fill(
              texts,
              scope,
              (at, vector) => vectors.set(at, vector).size > 0,
              async (positions, done) => {
                await scheduler.schedule(Promise.resolve());
                if (fails) throw new Error('away');
                for (const at of positions) {
                  done(at, vectorOf(texts[at]!));
                  vectors.set(at, vectorOf(texts[at]!));
                }
              },
            )
            .then(
              () => 'done',
              () => 'failed',
            );
          for (const [at, vector] of vectors) expect(vector).toEqual(vectorOf(texts[at]!));
          if (outcome === 'done') expect(vectors.size).toBe(texts.length);
          else expect(fails).toBe(true);
        });
        await scheduler.waitFor(Promise.all(runs));
      }),
      { numRuns: 200 },
    );
  });

  it.each([{ secret: 'short' }, { timeoutMs: 0 }, { timeoutMs: Number.NaN }, { cache: {} as never }])(
    'refuses %j',
    (options) => {
      expect(() => setUp(options)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
    },
  );
});
