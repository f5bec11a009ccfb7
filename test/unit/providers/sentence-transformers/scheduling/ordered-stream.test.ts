import { describe, expect, it } from 'vitest';
import { orderedStream } from '#src/providers/sentence-transformers/scheduling/ordered-stream.js';

const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => `text ${index}`);

async function* eachOf(values: readonly string[], silence?: Promise<never>): AsyncGenerator<string> {
  yield* values;
  await silence;
}

function stream(source: Iterable<string> | AsyncIterable<string>) {
  const sizes: number[] = [];
  const results = orderedStream(
    source,
    async (chunk, firstPosition) => {
      sizes.push(chunk.length);
      return chunk.map((text, index) => `${text} at ${firstPosition + index}`);
    },
    new AbortController().signal,
  );
  return { sizes, results };
}

describe('the chunks of a source', () => {
  it.each([
    ['a list', texts(600)],
    ['a generator that never waits', eachOf(texts(600))],
  ])('%s are full', async (_, source) => {
    const { sizes, results } = stream(source);
    let position = 0;
    for await (const result of results) expect(result).toBe(`text ${position} at ${position++}`);
    expect(position).toBe(600);
    expect(sizes).toEqual([256, 256, 88]);
  });

  it('that falls silent are handed on as far as they were filled', async () => {
    const { sizes, results } = stream(eachOf(texts(300), new Promise<never>(() => {})));
    for (let position = 0; position < 300; position++) {
      expect((await results.next()).value).toBe(`text ${position} at ${position}`);
    }
    expect(sizes).toEqual([256, 44]);
  });

  it('of long texts are short', async () => {
    const { sizes, results } = stream(Array<string>(5).fill('x'.repeat(100_000)));
    for await (const _ of results);
    expect(sizes).toEqual([2, 2, 1]);
  });
});
