import { describe, expect, it } from 'vitest';
import { readEmbeddingResponse as readParsed } from '#src/providers/wex-gateway/embeddings/response.js';
import { readEmbeddingBody } from '../../../../helpers/read-embedding-body.js';

const base64 = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer).toString('base64');
const body = (...embeddings: unknown[]) => ({ data: embeddings.map((embedding, index) => ({ index, embedding })) });

/** Through the bytes, as they come. */
const readEmbeddingResponse = (given: unknown, inputCount: number) =>
  readParsed(readEmbeddingBody(JSON.stringify(given ?? null)), inputCount);

describe('readEmbeddingResponse', () => {
  it('reads base64 and floats to the same vectors, which share no memory', () => {
    const read = [body(base64(1, -0.5), base64(0, 2)), body([1, -0.5], [0, 2])].map((each) =>
      readEmbeddingResponse(each, 2),
    );
    for (const response of read) {
      expect(response).toMatchObject({ vectors: [Float32Array.of(1, -0.5), Float32Array.of(0, 2)] });
    }
    const [first, second] = (read[0] as unknown as { readonly vectors: readonly Float32Array[] }).vectors;
    expect(first?.buffer).not.toBe(second?.buffer);
    expect(first?.buffer.byteLength).toBe(8);
  });

  it('places by index, not by arrival', () => {
    const shuffled = {
      data: [
        { index: 1, embedding: [2] },
        { index: 0, embedding: [1] },
      ],
    };
    expect(readEmbeddingResponse(shuffled, 2)).toMatchObject({ vectors: [Float32Array.of(1), Float32Array.of(2)] });
  });

  it.each([
    ['of 0, as Gemini does', [{ embedding: [1] }, { index: 1, embedding: [2] }]],
    ['everywhere', [{ embedding: [1] }, { embedding: [2] }]],
    [
      'by null',
      [
        { index: null, embedding: [1] },
        { index: 1, embedding: [2] },
      ],
    ],
  ])('takes the place for the index where the server leaves it out: %s', (_, data) => {
    expect(readEmbeddingResponse({ data }, 2)).toMatchObject({ vectors: [Float32Array.of(1), Float32Array.of(2)] });
  });

  it.each([
    ['nothing', undefined, 1],
    ['a string', 'oops', 1],
    ['no data', { object: 'list' }, 1],
    ['too few', body([1]), 2],
    ['too many', body([1], [2]), 1],
    ['no index among others that are out of order', { data: [{ index: 1, embedding: [1] }, { embedding: [2] }] }, 2],
    ['an index out of range', { data: [{ index: 1, embedding: [1] }] }, 1],
    ['a fractional index', { data: [{ index: 0.5, embedding: [1] }] }, 1],
    ['a negative index', { data: [{ index: -1, embedding: [1] }] }, 1],
    ['an index that names a property', { data: [{ index: 'length', embedding: [1] }] }, 1],
    [
      'one index twice',
      {
        data: [
          { index: 0, embedding: [1] },
          { index: 0, embedding: [1] },
        ],
      },
      2,
    ],
  ])('refuses a body with %s', (_, given, count) => {
    expect(readEmbeddingResponse(given, count).vectors).toEqual(expect.any(String));
  });

  it.each([
    ['NaN in base64', base64(Number.NaN, 1)],
    ['infinity', base64(Number.POSITIVE_INFINITY, 1)],
    ['null in floats, as JSON writes NaN', [null, 1]],
    ['a float beyond float32', [1e39, 1]],
    ['all zeros', [0, 0]],
    ['nothing', []],
    ['an empty string', ''],
    ['an object', { values: [1] }],
    ['numbers as strings', ['1']],
    ['invalid base64', '!!!!!!!!'],
    ['characters whose lower halves would be base64', '\u0141'.repeat(8)],
    ['base64 that breaks off into something else', `${base64(1, 2)}!!!!AAAAAAAAAAAA`.replaceAll('=', 'A')],
    ['invalid base64 of the right length', `${'A'.repeat(12)}!!!!`],
    ['base64 of five bytes', Buffer.alloc(5, 1).toString('base64')],
  ])('refuses only the vector with %s', (_, embedding) => {
    const response = readEmbeddingResponse(body(embedding, [1]), 2);
    expect(response).toMatchObject({ vectors: [expect.any(String), Float32Array.of(1)] });
  });

  it('reads the usage of an answer that is of no use, since it was paid for', () => {
    expect(readEmbeddingResponse({ data: [], usage: { prompt_tokens: 7 } }, 1)).toMatchObject({
      usage: { inputTokens: 7 },
    });
  });

  it.each([
    [{ prompt_tokens: 7, total_tokens: 9 }, 7],
    [{ total_tokens: 9 }, 9],
    [{ prompt_tokens: 'many' }, null],
    [{ prompt_tokens: -1 }, null],
    [{ prompt_tokens: 0, total_tokens: 0 }, null],
    [{ prompt_tokens: { longString: 0 } }, null],
    [undefined, null],
  ])('reads the usage %j as %s tokens', (usage, expected) => {
    expect(readEmbeddingResponse({ ...body([1]), usage }, 1)).toMatchObject({ usage: { inputTokens: expected } });
  });
});
