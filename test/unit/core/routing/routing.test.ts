import { describe, expect, it } from 'vitest';
import type { Candidate } from '#src/core/routing/candidate.js';
import { chooseDefault, orderForEmbeddings, orderForText } from '#src/core/routing/routing.js';
import { candidateOf, fakeKind, integrationOf } from '../../../helpers/fake-provider.js';

const gatewayKind = {
  ...fakeKind('wex_ai_gateway'),
  isMadeFor: ({ aiModel }: { aiModel: string | null }, operation: string) =>
    aiModel === null || aiModel.includes('embedding') === (operation === 'embedding'),
};
const localKind = fakeKind('sentence_transformers', { isLocal: true });
const gateway = (id: number, aiModel: string | null = null): Candidate =>
  candidateOf(integrationOf({ id, provider: 'wex_ai_gateway', aiModel }), gatewayKind);
const local = (id: number): Candidate =>
  candidateOf(integrationOf({ id, provider: 'sentence_transformers' }), localKind);
const ids = (candidates: Candidate[]) => candidates.map(({ integration }) => integration.id);

describe('orderForEmbeddings', () => {
  it.each([
    [1, [2, 1]],
    [10, [2, 1]],
    [11, [1, 2]],
    [10_000, [1, 2]],
  ])('%i texts', (textCount, expected) => {
    expect(ids(orderForEmbeddings([gateway(1), local(2)], textCount))).toEqual(expected);
  });

  it('prefers the row whose model embeds, then the lower id', () => {
    const rows = [
      gateway(4, 'text-embedding-3-small'),
      gateway(1, 'gpt-4o-mini'),
      gateway(3, 'text-embedding-3-small'),
    ];
    expect(ids(orderForEmbeddings(rows, 100))).toEqual([3, 4, 1]);
  });

  it('uses what there is', () => {
    expect(ids(orderForEmbeddings([local(1)], 5000))).toEqual([1]);
    expect(ids(orderForEmbeddings([gateway(1)], 1))).toEqual([1]);
    expect(orderForEmbeddings([], 1)).toEqual([]);
  });
});

describe('orderForText', () => {
  it('leaves out who cannot, and prefers the row whose model generates text', () => {
    expect(ids(orderForText([local(1), gateway(2, 'text-embedding-3-small'), gateway(3, 'gpt-4o-mini')]))).toEqual([
      3, 2,
    ]);
  });
});

describe('chooseDefault', () => {
  it('prefers the gateway', () => {
    expect(chooseDefault([local(1), gateway(2)])?.integration.id).toBe(2);
    expect(chooseDefault([])).toBeUndefined();
  });
});
