import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LongString } from '#src/providers/wex-gateway/embeddings/body.js';
import { vectorFromBase64 } from '#src/providers/wex-gateway/embeddings/wire-vector.js';
import { readEmbeddingBody } from '../../../../helpers/read-embedding-body.js';

const vector = Float32Array.from({ length: 96 }, (_, index) => Math.sin(index));
const base64 = Buffer.from(vector.buffer).toString('base64');

describe('EmbeddingBodyReader', () => {
  it('makes vectors of long strings, wherever they be', () => {
    const { value, longStrings } = readEmbeddingBody(`{ "a" : ["${base64}", "short"], "b": "${base64}x" }`);
    expect(value).toEqual({ a: [{ longString: 0 }, 'short'], b: { longString: 1 } });
    expect(longStrings).toEqual([vector, expect.any(String)]);
  });

  it('leaves strings with escapes to JSON.parse, as some servers escape the slashes of base64', () => {
    const long = 'ab\\/d'.repeat(100);
    expect(readEmbeddingBody(`["${long}"]`).value).toEqual(['ab/d'.repeat(100)]);
  });

  it.each(['', '{"a":', '"open', '{"a":"b\\"', `["${'x'.repeat(300)}`, `["${'x'.repeat(300)}"`, 'null null'])(
    'throws a SyntaxError on %j',
    (text) => {
      expect(() => readEmbeddingBody(text)).toThrow(SyntaxError);
      expect(() => readEmbeddingBody(text, [1])).toThrow(SyntaxError);
    },
  );

  it('means the same as JSON.parse, whatever the strings and wherever the chunks end', () => {
    const piece = fc.constantFrom('"', '\\', '\\"', 'é', '字', '👩‍🚀', '\n', 'x'.repeat(60), base64);
    const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
    const data = fc.array(fc.record({ embedding: text, index: fc.nat(), note: text }));
    const sizes = fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(data, fc.boolean(), sizes, (given, pretty, chunkSizes) => {
        const json = JSON.stringify({ data: given }, null, pretty ? 2 : 0);
        const { value, longStrings } = readEmbeddingBody(json, chunkSizes);
        const expected: (Float32Array | string)[] = [];
        const parsed = JSON.parse(json, (_, each: unknown) => {
          // As long, and written without an escape.
          if (typeof each !== 'string' || Buffer.byteLength(each) < 256 || JSON.stringify(each).includes('\\'))
            return each;
          const read = vectorFromBase64(Buffer.from(each));
          expected.push(typeof read === 'string' ? expect.any(String) : read);
          return { longString: expected.length - 1 } satisfies LongString;
        });
        expect(value).toEqual(parsed);
        expect(longStrings).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it('takes a body in single bytes, in time that grows with its length only', () => {
    const body = JSON.stringify({ data: Array.from({ length: 20 }, (_, index) => ({ index, embedding: base64 })) });
    const { longStrings } = readEmbeddingBody(body, [1]);
    expect(longStrings).toEqual(Array<Float32Array>(20).fill(vector));
  });
});
