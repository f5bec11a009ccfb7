import { describe, expect, it } from 'vitest';
import type { Integration } from '#src/core/ports/integration-repository.js';
import { resolveFallbackChain } from '#src/core/routing/fallback-chain.js';
import { integrationOf } from '../../../helpers/fake-provider.js';

const row = (id: number, fallbackIntegrationId: number | null, active = true) =>
  integrationOf({ id, provider: 'wex_ai_gateway', fallbackIntegrationId, active });

function resolve(...rows: Integration[]) {
  return resolveFallbackChain(rows[0]!, { find: async (id) => rows.find((integration) => integration.id === id) });
}

describe('resolveFallbackChain', () => {
  it('follows the chain to its end', async () => {
    expect((await resolve(row(1, 5), row(5, 3), row(3, null))).map(({ id }) => id)).toEqual([5, 3]);
    expect(await resolve(row(1, null))).toEqual([]);
  });

  it.each([
    ['a cycle', [row(1, 2), row(2, 3), row(3, 2)], 'is a cycle: 1 → 2 → 3 → 2'],
    ['itself', [row(1, 1)], 'is a cycle: 1 → 1'],
    ['an inactive row', [row(1, 2), row(2, null, false)], 'leads from integration 1 to 2, which is inactive'],
    ['a row the tenant lacks', [row(1, 2)], 'leads from integration 1 to 2, which tenant 1 does not have'],
  ])('refuses %s', async (_, rows, message) => {
    await expect(resolve(...rows)).rejects.toMatchObject({
      code: 'fallback_invalid',
      message: expect.stringContaining(message),
    });
  });
});
