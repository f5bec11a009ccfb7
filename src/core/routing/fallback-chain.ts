import { AiProviderError } from '../../errors.js';
import type { Integration } from '../ports/integration-repository.js';

/** What a chain looks its links up in. */
export interface FallbackLookup {
  /** Finds an integration among those of the tenant, active or not. */
  find(integrationId: number): Promise<Integration | undefined>;
  /** Why a provider cannot be made of the row, if it is known. */
  unusable?(integration: Integration): string | undefined;
}

/** One step along `fallback_integration_id`. */
type Link = { readonly integration: Integration } | { readonly broken: AiProviderError };

/**
 * Follows `fallback_integration_id` link by link, and looks each row up only when it is needed. A link to an inactive
 * or unusable row is reported, and the chain goes on behind it; a cycle or a row that the tenant does not have ends the
 * chain.
 */
export class FallbackChain {
  readonly #start: Integration;
  readonly #lookup: FallbackLookup;
  readonly #path: number[];
  #nextId: number | null;

  constructor(start: Integration, lookup: FallbackLookup) {
    this.#start = start;
    this.#lookup = lookup;
    this.#path = [start.id];
    this.#nextId = start.fallbackIntegrationId;
  }

  /** The next link; undefined at the end of the chain. */
  async next(): Promise<Link | undefined> {
    const from = this.#path.at(-1);
    const to = this.#nextId;
    if (to === null) return undefined;
    this.#nextId = null;
    if (this.#path.includes(to)) return this.#broken(`is a cycle: ${[...this.#path, to].join(' → ')}`);
    const integration = await this.#lookup.find(to);
    if (integration === undefined) {
      const { tenantId } = this.#start;
      return this.#broken(
        `leads from integration ${from} to ${to}, which tenant ${tenantId} does not have as an integration of type ai_provider (it may be another tenant's)`,
      );
    }
    this.#path.push(to);
    this.#nextId = integration.fallbackIntegrationId;
    if (!integration.active) return this.#broken(`leads from integration ${from} to ${to}, which is inactive`);
    const reason = this.#lookup.unusable?.(integration);
    return reason === undefined
      ? { integration }
      : this.#broken(`leads from integration ${from} to ${to}, which ${reason}`);
  }

  #broken(what: string): Link {
    const broken = new AiProviderError(
      `The fallback chain of integration ${this.#start.id} ${what}. Correct fallback_integration_id.`,
      { code: 'fallback_invalid' },
    );
    return { broken };
  }
}

/**
 * The whole chain.
 *
 * @returns The integrations after `start`, in order.
 * @throws {@link AiProviderError} `fallback_invalid` for a cycle, or for a row that is inactive, unusable or not the
 *   tenant's.
 */
export async function resolveFallbackChain(start: Integration, lookup: FallbackLookup): Promise<Integration[]> {
  const chain = new FallbackChain(start, lookup);
  const integrations: Integration[] = [];
  for (let link = await chain.next(); link !== undefined; link = await chain.next()) {
    if ('broken' in link) throw link.broken;
    integrations.push(link.integration);
  }
  return integrations;
}
