import { describe, expect, it } from 'vitest';
import { familyPrompts } from '#src/providers/sentence-transformers/model/family-prompts.js';

const e5 = { query: 'query: ', document: 'passage: ' };
const bge = { query: 'Represent this sentence for searching relevant passages: ', document: '' };

describe('familyPrompts', () => {
  it.each([
    ['intfloat/e5-small', e5],
    ['intfloat/e5-large-v2', e5],
    ['intfloat/multilingual-e5-base', e5],
    ['Xenova/multilingual-e5-small', e5],
    ['BAAI/bge-small-en-v1.5', bge],
    ['intfloat/multilingual-e5-large-instruct', null],
    ['intfloat/e5-mistral-7b-instruct', null],
    ['BAAI/bge-m3', null],
    ['sentence-transformers/all-MiniLM-L6-v2', null],
  ])('%s', (hubId, prompts) => {
    expect(familyPrompts(hubId)).toEqual(prompts);
  });
});
