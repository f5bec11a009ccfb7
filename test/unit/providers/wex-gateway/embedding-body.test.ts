import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type LongString, parseEmbeddingBody } from '../../../../src/providers/wex-gateway/embedding-body.js';

/** The value with its long strings put back. */
function restored(text: string): unknown {
  const { value, longStrings } = parseEmbeddingBody(Buffer.from(text));
  return JSON.parse(JSON.stringify(value), (_, each: unknown) => {
    const { longString } = (each ?? {}) as Partial<LongString>;
    return longString === undefined ? each : longStrings[longString]?.toString();
  });
}

describe('parseEmbeddingBody', () => {
  it('cuts long strings out, wherever they stand', () => {
    const long = 'QUJD'.repeat(100);
    const { value, longStrings } = parseEmbeddingBody(Buffer.from(`{ "a" : ["${long}", "short"], "b": "${long}x" }`));
    expect(value).toEqual({ a: [{ longString: 0 }, 'short'], b: { longString: 1 } });
    expect(longStrings.map(String)).toEqual([long, `${long}x`]);
  });

  it('leaves strings with escapes to JSON.parse, as some servers escape the slashes of base64', () => {
    const long = 'ab\\/d'.repeat(100);
    expect(parseEmbeddingBody(Buffer.from(`["${long}"]`)).value).toEqual(['ab/d'.repeat(100)]);
  });

  it.each(['', '{"a":', '"open', '{"a":"b\\"', `["${'x'.repeat(300)}`, `["${'x'.repeat(300)}"`, 'null null'])(
    'throws a SyntaxError on %j',
    (text) => {
      expect(() => parseEmbeddingBody(Buffer.from(text))).toThrow(SyntaxError);
    },
  );

  it('means the same as JSON.parse, whatever the strings', () => {
    const piece = fc.constantFrom('"', '\\', '\\"', 'é', '字', '👩‍🚀', '\n', 'x'.repeat(120), 'AbC/+='.repeat(30));
    const text = fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(
        fc.array(fc.record({ embedding: text, index: fc.nat(), note: text })),
        fc.boolean(),
        (data, pretty) => {
          const json = JSON.stringify({ data }, null, pretty ? 2 : 0);
          expect(restored(json)).toEqual({ data });
        },
      ),
      { numRuns: 500 },
    );
  });
});
