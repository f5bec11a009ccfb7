import { type InFlight, trackInFlight } from '../../internal/in-flight.js';
import type { Logger } from '../ports/logger.js';
import type { AiProvider } from '../ports/provider-kind.js';
import type { Candidate } from './candidate.js';

export interface ProviderCacheOptions {
  /** Makes the provider of a candidate. */
  create(candidate: Candidate): Promise<AiProvider>;
  /** A provider that nobody asked for during this time is closed. */
  readonly idleMs: number;
  readonly logger: Logger | undefined;
}

interface CachedProvider {
  readonly tenantId: number;
  readonly fingerprint: string;
  readonly provider: Promise<InFlight<AiProvider>>;
  usedAt: number;
}

/**
 * One provider for each integration: made once, made again when the row has changed, closed when the row is gone or
 * nobody has asked for it for a while. It is closed once its calls have ended.
 */
export class ProviderCache {
  readonly #options: ProviderCacheOptions;
  readonly #providers = new Map<number, CachedProvider>();
  readonly #retired = new Set<Promise<void>>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: ProviderCacheOptions) {
    this.#options = options;
  }

  async get(candidate: Candidate): Promise<AiProvider> {
    const { integration, fingerprint } = candidate;
    const cached = this.#providers.get(integration.id);
    if (cached?.fingerprint === fingerprint) {
      cached.usedAt = performance.now();
      return (await cached.provider).tracked;
    }
    const provider = this.#options.create(candidate).then(trackInFlight);
    const { tenantId } = integration;
    this.#providers.set(integration.id, { tenantId, fingerprint, provider, usedAt: performance.now() });
    this.#sweepLater();
    if (cached !== undefined) this.#retire(cached);
    try {
      return (await provider).tracked;
    } catch (error) {
      if (this.#providers.get(integration.id)?.provider === provider) this.#providers.delete(integration.id);
      throw error;
    }
  }

  /** Closes the providers of a tenant's integrations that are not among the active ones any more. */
  retain(tenantId: number, activeIds: ReadonlySet<number>): void {
    this.#retireIf((id, cached) => cached.tenantId === tenantId && !activeIds.has(id));
  }

  async close(): Promise<void> {
    clearTimeout(this.#sweep);
    const cached = [...this.#providers.values()];
    this.#providers.clear();
    await Promise.allSettled(cached.map(async ({ provider }) => (await provider).tracked.close()));
    await Promise.allSettled(this.#retired);
  }

  #sweepLater(): void {
    if (this.#sweep !== undefined) return;
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined;
      const oldest = performance.now() - this.#options.idleMs;
      this.#retireIf((_, { usedAt }) => usedAt <= oldest);
      if (this.#providers.size > 0) this.#sweepLater();
    }, this.#options.idleMs / 4);
    this.#sweep.unref();
  }

  #retireIf(condition: (id: number, cached: CachedProvider) => boolean): void {
    for (const [id, cached] of this.#providers) {
      if (!condition(id, cached)) continue;
      this.#providers.delete(id);
      this.#retire(cached);
    }
  }

  #retire(cached: CachedProvider): void {
    const closing = cached.provider
      .then(async (provider) => {
        await provider.whenIdle();
        await provider.tracked.close();
      })
      .catch((error: unknown) => this.#options.logger?.warn({ error }, 'A provider could not be closed.'))
      .finally(() => this.#retired.delete(closing));
    this.#retired.add(closing);
  }
}
