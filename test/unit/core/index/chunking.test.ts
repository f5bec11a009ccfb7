import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isWellFormed } from '#src/core/index/check-record.js';
import { type ChunkingOptions, checkChunking, chunkText } from '#src/core/index/chunking.js';

/** Words and marks: simple, and not additive at spaces, as real tokens are. */
const countTokens = (text: string) => (text.match(/\w+|[^\s\w]/gu) ?? []).length;
const piecesOf = (text: string, options: Partial<ChunkingOptions> = {}) =>
  chunkText(text, checkChunking({ countTokens, maxTokens: 10, overlapTokens: 0, ...options })).map(({ start, end }) =>
    text.slice(start, end),
  );

describe('chunkText', () => {
  it('leaves a short text whole', () => {
    expect(piecesOf('one two three')).toEqual(['one two three']);
  });

  it('cuts at paragraphs before sentences, and at sentences before words', () => {
    const text = 'One two three four.\n\nFive six seven eight. Nine ten eleven twelve thirteen fourteen fifteen.';
    expect(piecesOf(text, { maxTokens: 9 })).toEqual([
      'One two three four.\n\n',
      'Five six seven eight. ',
      'Nine ten eleven twelve thirteen fourteen fifteen.',
    ]);
    expect(piecesOf('a b c d e f g h i j k l')).toEqual(['a b c d e f g h i j ', 'k l']);
  });

  it('keeps a heading of Markdown with the text under it', () => {
    const text = '# Leave\nThirty days a year for all.\n## Sick leave\nCall before nine.\n## Unpaid\nAsk.';
    expect(piecesOf(text, { format: 'markdown' })).toEqual([
      '# Leave\nThirty days a year for all.\n',
      '## Sick leave\nCall before nine.\n',
      '## Unpaid\nAsk.',
    ]);
  });

  it('cuts code between definitions', () => {
    const text = 'function a() {\n  one();\n\n  two();\n}\n\nfunction b() {\n  three();\n}\n';
    expect(piecesOf(text, { format: 'code', maxTokens: 16 })).toEqual([
      'function a() {\n  one();\n\n  two();\n}\n\n',
      'function b() {\n  three();\n}\n',
    ]);
  });

  it('repeats the end of a piece at the beginning of the next', () => {
    const text = 'A b c d. E f. G h i j. K l. M n o p.';
    expect(piecesOf(text, { maxTokens: 9, overlapTokens: 3 })).toEqual([
      'A b c d. E f. ',
      'E f. G h i j. ',
      'K l. M n o p.',
    ]);
  });

  it('gives pieces that fit and are the whole text together, whatever the text', () => {
    const word = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.constantFrom('\n\n', '\n## ', '. ', '```\n', '{', '}', '  ', '😀', '漢字。', 'word'),
    );
    fc.assert(
      fc.property(
        fc.array(word, { maxLength: 60 }),
        fc.integer({ min: 2, max: 20 }),
        fc.constantFrom('text', 'markdown', 'code'),
        (words, maxTokens, format) => {
          const text = words.join('');
          const count = (part: string) => Math.ceil(Buffer.byteLength(part) / 3);
          const options = checkChunking({ countTokens: count, maxTokens, format: format as 'text' });
          const pieces = chunkText(text, options);
          expect(pieces[0]?.start).toBe(0);
          expect(pieces.at(-1)?.end).toBe(text.length);
          for (const [at, { start, end }] of pieces.entries()) {
            const piece = text.slice(start, end);
            if (count(piece) > maxTokens) expect([...piece]).toHaveLength(1);
            if (pieces.length > 1) expect(end).toBeGreaterThan(start);
            const before = pieces[at - 1];
            if (before === undefined) continue;
            expect(start).toBeGreaterThan(before.start);
            expect(start).toBeLessThanOrEqual(before.end);
            expect(end).toBeGreaterThan(before.end);
            if (isWellFormed(text)) expect(isWellFormed(piece)).toBe(true);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('refuses options that cannot be used', () => {
    for (const bad of [{ maxTokens: 0 }, { overlapTokens: 6 }, { overlapTokens: -1 }, { format: 'pdf' }, { max: 3 }]) {
      expect(() => piecesOf('x', bad as never)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
    }
    expect(() => piecesOf('x', { countTokens: 5 as never })).toThrowError(
      expect.objectContaining({ code: 'invalid_input' }),
    );
  });
});
