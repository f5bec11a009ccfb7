import { describe, expect, it } from 'vitest';
import { readCandidate } from '#src/core/routing/candidate.js';
import { chooseDefault, orderByFitness } from '#src/core/routing/routing.js';
import { wexGatewayKind } from '#src/providers/wex-gateway/kind.js';
import { fakeKind, integrationOf } from '../../../helpers/fake-provider.js';

const paid = wexGatewayKind({ credentialCipher: { decrypt: () => 'key' } as never });
const free = fakeKind('sentence_transformers', { isLocal: true });
const gateway = (id: number, aiModel: string | null = null) =>
  readCandidate(integrationOf({ id, provider: 'wex_ai_gateway', aiModel }), paid, String(id));
const local = (id: number) => readCandidate(integrationOf({ id, provider: 'sentence_transformers' }), free, String(id));
const ids = (candidates: readonly { integration: { id: number } }[]) =>
  candidates.map(({ integration }) => integration.id);

describe('orderByFitness', () => {
  it('puts rows whose own model is made for something else, and broken rows, last', () => {
    const broken = readCandidate(
      integrationOf({ id: 1, provider: 'wex_ai_gateway', costConfig: { cost_per_1k_tokens: -1 } }),
      paid,
      '1',
    );
    const rows = [broken, gateway(2, 'gpt-4o-mini'), gateway(4, 'text-embedding-3-small'), gateway(3)];
    expect(ids(orderByFitness(rows, 'embedding', {}))).toEqual([3, 4, 2, 1]);
    expect(ids(orderByFitness(rows.toReversed(), 'embedding', {}, false))).toEqual([3, 4, 2, 1]);
  });

  it('leaves out rows that do not have the operation', () => {
    expect(ids(orderByFitness([local(1), gateway(2), gateway(3, 'gpt-4o-mini')], 'text', {}))).toEqual([2, 3]);
    expect(orderByFitness([], 'text', {})).toEqual([]);
  });
});

describe('chooseDefault', () => {
  it('prefers a gateway, then the local model, and nothing over nothing', () => {
    expect(chooseDefault([local(1), gateway(2)])?.integration.id).toBe(2);
    expect(chooseDefault([local(1)])?.integration.id).toBe(1);
    expect(chooseDefault([])).toBe(undefined);
  });
});
