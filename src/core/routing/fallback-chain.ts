import { AiProviderError } from '../../errors.js';
import type { Integration } from '../ports/integration-repository.js';

/**
 * Follows `fallback_integration_id` to its end.
 *
 * @param find - Looks an integration up among those of the tenant.
 * @returns The integrations after `start`, in order.
 * @throws {@link AiProviderError} `fallback_invalid` for a cycle, an inactive row, or a row that the tenant does not have.
 */
export async function resolveFallbackChain(
  start: Integration,
  find: (integrationId: number) => Promise<Integration | undefined>,
): Promise<Integration[]> {
  const path = [start.id];
  const chain: Integration[] = [];
  let current = start;
  while (current.fallbackIntegrationId !== null) {
    const nextId = current.fallbackIntegrationId;
    if (path.includes(nextId)) throw invalid(`is a cycle: ${[...path, nextId].join(' → ')}`, start);
    const next = await find(nextId);
    if (next === undefined) {
      throw invalid(
        `leads from integration ${current.id} to ${nextId}, which is no integration of type ai_provider of tenant ${start.tenantId} (it may be another tenant's)`,
        start,
      );
    }
    if (!next.active) throw invalid(`leads from integration ${current.id} to ${nextId}, which is inactive`, start);
    path.push(nextId);
    chain.push(next);
    current = next;
  }
  return chain;
}

function invalid(what: string, start: Integration): AiProviderError {
  return new AiProviderError(
    `The fallback chain of integration ${start.id} ${what}. Correct fallback_integration_id.`,
    { code: 'fallback_invalid' },
  );
}
