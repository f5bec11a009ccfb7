import { describe, expect, it } from 'vitest';
import { type EmbeddingSpace, embeddingSpaceId, mayProduceSpace, requireSpace } from '#src/core/embedding-space.js';

const space: EmbeddingSpace = {
  model: 'all-MiniLM-L6-v2',
  revision: '6638f625',
  dimension: 384,
  pooling: 'mean',
  prompts: null,
  normalized: true,
  dtype: 'fp32',
};

const others: [string, Partial<EmbeddingSpace>][] = [
  ['model', { model: 'other' }],
  ['revision', { revision: null }],
  ['dimension', { dimension: 385 }],
  ['pooling', { pooling: 'cls' }],
  ['prompts', { prompts: { query: 'query: ', document: '' } }],
  ['normalisation', { normalized: false }],
  ['dtype', { dtype: 'int8' }],
];

describe('embeddingSpaceId', () => {
  it('names everything that makes vectors comparable', () => {
    expect(embeddingSpaceId(space)).toBe(
      'all-MiniLM-L6-v2|rev=6638f625|dim=384|pool=mean|prompts=none|norm=true|dtype=fp32',
    );
  });

  it.each(others)('differs by %s', (_, difference) => {
    expect(embeddingSpaceId({ ...space, ...difference })).not.toBe(embeddingSpaceId(space));
  });

  it('cannot be forged by a model name', () => {
    expect(embeddingSpaceId({ ...space, model: 'a|rev=b', revision: null })).not.toBe(
      embeddingSpaceId({ ...space, model: 'a', revision: 'b|rev=?' }),
    );
  });
});

describe('mayProduceSpace', () => {
  it('gives an unknown dimension the benefit of the doubt, on either side', () => {
    const open = { ...space, dimension: null };
    expect(mayProduceSpace(open, embeddingSpaceId(space))).toBe(true);
    expect(mayProduceSpace(space, embeddingSpaceId(open))).toBe(true);
    expect(mayProduceSpace({ ...open, model: 'other' }, embeddingSpaceId(space))).toBe(false);
  });

  it.each(others)('refuses another %s', (_, difference) => {
    expect(mayProduceSpace({ ...space, ...difference }, embeddingSpaceId(space))).toBe(false);
  });
});

describe('requireSpace', () => {
  it('explains a mismatch with both spaces', () => {
    const other = { ...space, model: 'all-MiniLM-L12-v2' };
    expect(() => requireSpace(embeddingSpaceId(space), other, 'The collection x')).toThrow(
      expect.objectContaining({
        code: 'embedding_space_mismatch',
        expected: embeddingSpaceId(space),
        received: embeddingSpaceId(other),
        message: expect.stringMatching(/^The collection x needs .* cannot be compared/),
      }),
    );
  });
});
