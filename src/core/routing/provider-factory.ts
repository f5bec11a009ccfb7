import { AiProviderError } from '../../errors.js';
import { type InFlight, trackInFlight } from '../../internal/in-flight.js';
import { requireNonEmptyString, requireTenantId } from '../../internal/validate.js';
import { UsageLedger } from '../cost/usage-ledger.js';
import type { CallOptions } from '../ports/call-options.js';
import type { IntegrationRepository } from '../ports/integration-repository.js';
import { type Logger, toLogger } from '../ports/logger.js';
import type { AiProvider, ProviderKind } from '../ports/provider-kind.js';
import { resolveFallbackChain } from './fallback-chain.js';
import { type Candidate, chooseDefault } from './routing.js';

export interface ProviderFactoryOptions {
  /** Where the tenants' integrations are read and usage is recorded. */
  readonly repository: IntegrationRepository;
  /** How rows become providers; `standardProviderKinds()` are those of this library. */
  readonly kinds: readonly ProviderKind[];
  readonly logger?: Logger | undefined;
}

interface CachedProvider {
  readonly fingerprint: string;
  readonly provider: Promise<InFlight<AiProvider>>;
}

/**
 * Makes providers from the rows of `integrations` and keeps them: one a row, made once, made anew when the row has changed. Each records
 * what it uses in `ai_usage_trackings`.
 *
 * The rows are read at every call, so a changed or deactivated integration takes effect at once. A provider that is no longer current is
 * closed as soon as its calls under way have ended; so ask for a provider for each piece of work rather than keeping one.
 *
 * @example
 * const factory = new ProviderFactory({
 *   repository: new KyselyIntegrationRepository(db),
 *   kinds: standardProviderKinds({ credentialCipher: new FernetCipher(process.env.SECRET_KEY) }),
 * });
 * const provider = await factory.getProvider(tenantId);
 * const { embeddings } = await provider.generateEmbeddings(['a text']);
 * await factory.close();
 */
export class ProviderFactory {
  readonly #repository: IntegrationRepository;
  readonly #kinds: ReadonlyMap<string, ProviderKind>;
  readonly #logger: Logger | undefined;
  readonly #ledger: UsageLedger;
  readonly #providers = new Map<number, CachedProvider>();
  readonly #retired = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: ProviderFactoryOptions) {
    this.#repository = options.repository;
    this.#kinds = new Map(options.kinds.map((kind) => [kind.name, kind]));
    this.#logger = toLogger(options.logger);
    this.#ledger = new UsageLedger(options);
  }

  /**
   * The provider for a tenant.
   *
   * @param kind - `'auto'` prefers a paid gateway and falls back to the local model; or the `provider` column's value: `'wex_ai_gateway'`,
   *   `'sentence_transformers'`, … A tenant that has no local integration gets one made with defaults when it is needed.
   * @throws {@link AiProviderError} `unknown_provider` listing the known kinds; `integration_not_found` where the tenant has no active row of
   *   the kind; `invalid_config` or `credential_invalid` for a row that cannot work; `repository_failed`.
   */
  async getProvider(tenantId: number, kind = 'auto', options: CallOptions = {}): Promise<AiProvider> {
    requireTenantId(tenantId);
    requireNonEmptyString(kind, 'kind');
    const candidate =
      kind === 'auto'
        ? chooseDefault(await this.listCandidates(tenantId, options))
        : await this.#findOfKind(tenantId, this.requireKind(kind), options);
    return this.providerFor(candidate ?? (await this.createDefaultLocal(tenantId, options)));
  }

  /** The tenant's active integrations that this factory can make providers from, ordered by id. Rows of unknown kinds are left out and logged. */
  async listCandidates(tenantId: number, options: CallOptions = {}): Promise<Candidate[]> {
    requireTenantId(tenantId);
    this.#requireOpen();
    const candidates: Candidate[] = [];
    for (const integration of await this.#repository.listActiveIntegrations(tenantId, options)) {
      const kind = this.#kinds.get(integration.provider);
      if (kind !== undefined) candidates.push({ integration, kind });
      else {
        this.#logger?.warn(
          { tenantId, integrationId: integration.id, provider: integration.provider },
          'An integration was left out: its provider is of no kind that this factory knows.',
        );
      }
    }
    return candidates;
  }

  /** The provider of one integration, as {@link ProviderFactory.listCandidates} returned it. */
  async providerFor(candidate: Candidate): Promise<AiProvider> {
    this.#requireOpen();
    const { integration } = candidate;
    const fingerprint = JSON.stringify(integration);
    const cached = this.#providers.get(integration.id);
    if (cached?.fingerprint === fingerprint) return (await cached.provider).tracked;
    const provider = this.#create(candidate);
    this.#providers.set(integration.id, { fingerprint, provider });
    if (cached !== undefined) this.#retire(cached);
    try {
      return (await provider).tracked;
    } catch (error) {
      if (this.#providers.get(integration.id)?.provider === provider) this.#providers.delete(integration.id);
      throw error;
    }
  }

  /**
   * The integrations to go on with when this one fails, along `fallback_integration_id`.
   *
   * @throws {@link AiProviderError} `fallback_invalid` for a cycle, an inactive row, a row that the tenant does not have, or an unknown kind.
   */
  async fallbacksOf(candidate: Candidate, options: CallOptions = {}): Promise<Candidate[]> {
    const { tenantId } = candidate.integration;
    const chain = await resolveFallbackChain(candidate.integration, (id) =>
      this.#repository.findIntegration(tenantId, id, options),
    );
    return chain.map((integration) => {
      const kind = this.#kinds.get(integration.provider);
      if (kind !== undefined) return { integration, kind };
      throw new AiProviderError(
        `The fallback integration ${integration.id} has the provider ${JSON.stringify(integration.provider)}; known are ${this.#knownKinds()}.`,
        { code: 'fallback_invalid' },
      );
    });
  }

  /** The tenant's local integration, made with defaults where it has none. @throws `integration_not_found` where it was switched off. */
  async createDefaultLocal(tenantId: number, options: CallOptions = {}): Promise<Candidate> {
    const kind = this.requireKind('sentence_transformers');
    const integration = await this.#repository.createDefaultLocalIntegration(tenantId, options);
    if (integration.active) return { integration, kind };
    throw new AiProviderError(
      `Tenant ${tenantId} has no active integration that can serve the call: its sentence_transformers integration ${integration.id} is inactive. ` +
        'Activate it, or add another integration of type ai_provider.',
      { code: 'integration_not_found' },
    );
  }

  /** @throws {@link AiProviderError} `unknown_provider`, listing the known ones. */
  requireKind(name: string): ProviderKind {
    const kind = this.#kinds.get(name);
    if (kind !== undefined) return kind;
    throw new AiProviderError(
      `Expected a known provider, got ${JSON.stringify(name)}. Known are ${this.#knownKinds()}.`,
      {
        code: 'unknown_provider',
      },
    );
  }

  /** Closes every provider that it made and writes usage rows that still wait. The repository and its database handle stay open. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const cached = [...this.#providers.values()];
    this.#providers.clear();
    await Promise.allSettled(cached.map(async ({ provider }) => (await provider).tracked.close()));
    await Promise.allSettled(this.#retired);
    await this.#ledger.flush();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #findOfKind(tenantId: number, kind: ProviderKind, options: CallOptions): Promise<Candidate | undefined> {
    const candidates = await this.listCandidates(tenantId, options);
    const found = chooseDefault(candidates.filter((candidate) => candidate.kind === kind));
    if (found !== undefined || kind.name === 'sentence_transformers') return found;
    throw new AiProviderError(
      `Tenant ${tenantId} has no active integration with the provider ${kind.name} and the type ai_provider. Add one, or activate the one it has.`,
      { code: 'integration_not_found' },
    );
  }

  async #create({ integration, kind }: Candidate): Promise<InFlight<AiProvider>> {
    const usageRecorder = this.#ledger.recorderFor(integration);
    return trackInFlight(await kind.create({ integration, usageRecorder, logger: this.#logger }));
  }

  #retire(cached: CachedProvider): void {
    const closing = cached.provider
      .then(async (provider) => {
        await provider.whenIdle();
        await provider.tracked.close();
      })
      .catch((error: unknown) => this.#logger?.warn({ error }, 'A replaced provider could not be closed.'))
      .finally(() => this.#retired.delete(closing));
    this.#retired.add(closing);
  }

  #knownKinds(): string {
    return ['auto', ...this.#kinds.keys()].join(', ');
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new AiProviderError('The provider factory is closed.', { code: 'aborted_by_close' });
  }
}
