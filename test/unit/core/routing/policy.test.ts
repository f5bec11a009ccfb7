import { describe, expect, it } from 'vitest';
import { type PolicyCandidate, type PolicyRequest, requireChoices, resolvePolicy } from '#src/core/routing/policy.js';

const request: PolicyRequest = {
  tenantId: 1,
  operation: 'embedding',
  purpose: 'interactive',
  textCount: 5,
  inputTokens: 100,
  requiredSpace: undefined,
  isNewTable: false,
};
const candidate = (integrationId: number, more: Partial<PolicyCandidate> = {}): PolicyCandidate => ({
  integrationId,
  provider: 'wex_ai_gateway',
  model: 'm',
  isLocal: false,
  estimatedCost: 0.01,
  isAffordable: true,
  budgetLeft: null,
  circuit: 'closed',
  latencyMs: null,
  queuedTexts: 0,
  ...more,
});
const free = candidate(9, { isLocal: true, estimatedCost: 0 });
const dear = candidate(1, { estimatedCost: 0.5 });
const cheap = candidate(2, { estimatedCost: 0.1 });
const unpriced = candidate(3, { estimatedCost: null });
const all = [unpriced, dear, free, cheap];

const orderOf = (name: Parameters<typeof resolvePolicy>[0], more: Partial<PolicyRequest> = {}, candidates = all) =>
  resolvePolicy(name)
    .policy({ ...request, ...more }, candidates)
    .map(({ integrationId }) => integrationId);

describe('the policy', () => {
  it.each<[string, Partial<PolicyRequest>, number[]]>([
    ['few texts go to the local model', {}, [9, 1, 2, 3]],
    ['10 texts go to the local model', { textCount: 10 }, [9, 1, 2, 3]],
    ['11 texts go to a paid provider', { textCount: 11 }, [1, 2, 3, 9]],
    [
      'a new table begins with a paid provider, however few its first texts are',
      { isNewTable: true, textCount: 1 },
      [1, 2, 3, 9],
    ],
    ['text goes to a paid provider', { operation: 'text', textCount: 1 }, [1, 2, 3, 9]],
  ])('document: %s', (_, more, expected) => {
    expect(orderOf('document', more)).toEqual(expected);
    expect(orderOf(undefined, more)).toEqual(expected);
  });

  it('lowest-cost: the cheapest first, an unknown price last, whatever is away after what is there', () => {
    expect(orderOf('lowest-cost', { textCount: 5_000 })).toEqual([9, 2, 1, 3]);
    expect(orderOf('lowest-cost', {}, [{ ...free, circuit: 'open' }, { ...cheap, isAffordable: false }, dear])).toEqual(
      [1, 2, 9],
    );
  });

  it('preferred-quality: the most expensive first, the free one last', () => {
    expect(orderOf('preferred-quality')).toEqual([1, 2, 3, 9]);
    expect(orderOf('preferred-quality', {}, [{ ...dear, circuit: 'open' }, free])).toEqual([9, 1]);
  });

  it('pinned: the same for every work', () => {
    for (const more of [{ textCount: 1 }, { textCount: 1_000 }, { isNewTable: true }]) {
      expect(orderOf('pinned', more)).toEqual([1, 2, 3, 9]);
    }
  });

  it('gives a reason for each place', () => {
    for (const name of ['document', 'lowest-cost', 'preferred-quality', 'pinned'] as const) {
      const choices = resolvePolicy(name).policy(request, all);
      expect(choices.every(({ reason }) => reason.length > 3)).toBe(true);
      expect(requireChoices(choices, all)).toBe(choices);
    }
  });

  it('may be a function, whose answer is checked', () => {
    const mine = () => [{ integrationId: 2, reason: 'mine' }];
    expect(resolvePolicy(mine)).toEqual({ name: 'mine', policy: mine });
    for (const bad of [undefined, {}, [1], [{ integrationId: 2 }], [{ integrationId: 77, reason: 'x' }]]) {
      expect(() => requireChoices(bad, all)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
    }
    const twice = [1, 1].map((integrationId) => ({ integrationId, reason: 'x' }));
    expect(() => requireChoices(twice, all)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
    expect(() => resolvePolicy('cheapest' as never)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
  });
});
