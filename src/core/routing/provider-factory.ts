import { AiProviderError, InvalidInputError } from '../../errors.js';
import { requireOptions } from '../../internal/call-options.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { describeValue, requireMethods, requireNonEmptyString, requireTenantId } from '../../internal/validate.js';
import type { Call } from '../calls/call.js';
import { type UsageCounts, type UsageDeadLetter, UsageOutbox } from '../cost/usage-outbox.js';
import { type ReusedTexts, UsageRecording } from '../cost/usage-recording.js';
import type { CallOptions } from '../ports/call-options.js';
import type { Integration, IntegrationRepository } from '../ports/integration-repository.js';
import { type Logger, toLogger } from '../ports/logger.js';
import type { PriceSource } from '../ports/price-source.js';
import type { AiProvider, ProviderKind } from '../ports/provider-kind.js';
import type { UsageReader } from '../ports/usage-reader.js';
import type { UsageRecorder } from '../ports/usage-recorder.js';
import { type Candidate, fingerprintOf, readCandidate } from './candidate.js';
import { defaultLocalIntegration } from './default-local-integration.js';
import type { Fallbacks } from './failover.js';
import { FallbackChain, resolveFallbackChain } from './fallback-chain.js';
import { ProviderCache } from './provider-cache.js';
import { chooseDefault } from './routing.js';
import { type IntegrationDraft, type IntegrationTest, testIntegration } from './test-integration.js';

/** How usage rows are written; see docs/operations.md. */
export interface UsageOptions {
  /**
   * `background`: a call never waits for its rows; a process that is killed loses those of about the last 100 ms.
   * `write-through`: a call returns after its own rows are written, or after 5 s, or at its deadline. Inside a
   * transaction of the host always `write-through`.
   * @default 'background'
   */
  readonly durability?: 'background' | 'write-through' | undefined;
  /**
   * Called with each usage row that cannot be written: its content, the reason and the error. The log has them as well.
   * @default none
   */
  readonly onDeadLetter?: ((letter: UsageDeadLetter) => void) | undefined;
}

export interface ProviderFactoryOptions {
  /** Reads the tenants' integrations and stores usage. */
  readonly repository: IntegrationRepository;
  /** How rows become providers; `standardProviderKinds()` are those of this library. */
  readonly kinds: readonly ProviderKind[];
  readonly logger?: Logger | undefined;
  readonly usage?: UsageOptions | undefined;
  /**
   * List prices for models that neither the row nor the gateway gives a price for.
   * @default none: their cost is unknown
   */
  readonly priceSource?: PriceSource | undefined;
  /**
   * Whether a tenant without an integration for embeddings gets a row for the local model. `known`: if the host's
   * tables show that there is such a tenant, or after `initializeProviders`; a number from a URL makes no row.
   * `always`: for every tenant id. `never`: no row is made.
   * @default 'known'
   */
  readonly createDefaultLocal?: 'never' | 'known' | 'always' | undefined;
  /** A provider that nobody used for this long is closed, and made again when it is needed. @default 900_000 */
  readonly idleProviderMs?: number | undefined;
}

const optionKeys = {
  repository: true,
  kinds: true,
  logger: true,
  usage: true,
  priceSource: true,
  createDefaultLocal: true,
  idleProviderMs: true,
} as const;

/**
 * Makes providers from the rows of `integrations` and keeps them: one for each row, made once, and made again when the
 * row has changed. Each records what it uses in `ai_usage_trackings`.
 *
 * The rows are read at every call, so a changed or deactivated integration takes effect at once. A provider that is no
 * longer current, or that nobody used for a while, is closed as soon as its calls have ended; so ask for a provider for
 * each piece of work.
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
  readonly #createDefaultLocal: NonNullable<ProviderFactoryOptions['createDefaultLocal']>;
  readonly #outbox: UsageOutbox;
  readonly #recording: UsageRecording;
  readonly #providers: ProviderCache;
  /** The latest version of each row that was read. */
  readonly #candidates = new Map<number, Candidate>();
  #isClosed = false;

  /**
   * @throws {@link InvalidInputError} for an option that cannot be used. Nothing is read or made before the first call.
   */
  constructor(options: ProviderFactoryOptions) {
    requireKnownKeys<ProviderFactoryOptions>(options, optionKeys);
    const { repository, kinds, usage = {}, priceSource, createDefaultLocal = 'known' } = options;
    const logger = toLogger(options.logger);
    requireMethods(
      repository,
      'repository',
      ['listActiveIntegrations', 'findIntegration', 'createDefaultLocalIntegration', 'recordUsage'],
      'an IntegrationRepository',
    );
    requireKinds(kinds);
    requireKnownKeys<UsageOptions>(usage, { durability: true, onDeadLetter: true }, 'usage');
    const { durability = 'background', onDeadLetter } = usage;
    requireOneOf(durability, ['background', 'write-through'], 'usage.durability');
    requireOneOf(createDefaultLocal, ['never', 'known', 'always'], 'createDefaultLocal');
    this.#repository = repository;
    this.#kinds = new Map(kinds.map((kind) => [kind.name, kind]));
    this.#logger = logger;
    this.#createDefaultLocal = createDefaultLocal;
    this.#outbox = new UsageOutbox({ repository, logger, onDeadLetter });
    const isWriteThrough = durability === 'write-through' || repository.isTransaction === true;
    this.#recording = new UsageRecording({ outbox: this.#outbox, isWriteThrough, priceSource, logger });
    this.#providers = new ProviderCache({
      create: (candidate) => this.#create(candidate),
      idleMs: options.idleProviderMs ?? 900_000,
      logger,
    });
  }

  /**
   * The provider for a tenant.
   *
   * @param kind - `'auto'` prefers a paid gateway and falls back to the local model; or the `provider` column's value:
   *   `'wex_ai_gateway'`, `'sentence_transformers'`, … A known tenant without a local integration gets one with
   *   defaults when it is needed.
   * @throws {@link AiProviderError} `unknown_provider` listing the known kinds; `integration_not_found` if the tenant
   *   has no active row of the kind; `invalid_config` or `credential_invalid` for a row that cannot work;
   *   `repository_failed`.
   */
  async getProvider(tenantId: number, kind = 'auto', options: CallOptions = {}): Promise<AiProvider> {
    requireTenantId(tenantId);
    requireNonEmptyString(kind, 'kind');
    requireOptions(options);
    const candidate =
      kind === 'auto'
        ? chooseDefault(await this.listCandidates(tenantId, options))
        : await this.#findOfKind(tenantId, this.requireKind(kind), options);
    return this.providerFor(candidate ?? (await this.createDefaultLocal(tenantId, options)));
  }

  /**
   * The tenant's active integrations that this factory can make providers from, ordered by id. Rows of unknown kinds
   * are left out and logged; a broken row is a candidate with a `problem`.
   */
  async listCandidates(tenantId: number, options: CallOptions = {}): Promise<Candidate[]> {
    requireTenantId(tenantId);
    this.#requireOpen();
    const candidates: Candidate[] = [];
    for (const integration of await this.#repository.listActiveIntegrations(tenantId, options)) {
      const candidate = this.#read(integration);
      if (candidate !== undefined) candidates.push(candidate);
    }
    this.#retain(tenantId, new Set(candidates.map(({ integration }) => integration.id)));
    return candidates;
  }

  /**
   * The provider of one integration, as {@link ProviderFactory.listCandidates} returned it.
   * @throws The candidate's `problem`.
   */
  async providerFor(candidate: Candidate): Promise<AiProvider> {
    this.#requireOpen();
    if (candidate.problem !== undefined) throw candidate.problem;
    return this.#providers.get(candidate);
  }

  /** A recorder for one call's requests to the provider of a candidate. */
  recorderFor(candidate: Candidate, call: Call): UsageRecorder {
    return this.#recording.recorderFor(candidate, call);
  }

  /** Enters texts that needed no request in a call's account and in the usage rows. */
  recordReuse(candidate: Candidate, call: Call | undefined, reuse: ReusedTexts): string | null {
    return this.#recording.recordReuse(candidate, call, candidate.integration.tenantId, reuse);
  }

  /** Reads usage, if the repository can. */
  get usageReader(): UsageReader | undefined {
    const { readUsage } = this.#repository as Partial<UsageReader>;
    return readUsage && { readUsage: readUsage.bind(this.#repository) };
  }

  /** The usage rows of one integration, or of all, by what became of them since the factory was made. */
  usageCounts(integrationId?: number): UsageCounts {
    return this.#outbox.counts(integrationId);
  }

  /**
   * The integrations to continue with when this one fails, along `fallback_integration_id`.
   *
   * @throws {@link AiProviderError} `fallback_invalid` for a cycle, an inactive row, a row that the tenant does not
   *   have, or an unknown kind.
   */
  async fallbacksOf(candidate: Candidate, options: CallOptions = {}): Promise<Candidate[]> {
    const chain = await resolveFallbackChain(candidate.integration, this.#lookup(candidate, [], options));
    return chain.map((integration) => this.#read(integration)!);
  }

  /**
   * The same, one at a time and each only when it is needed.
   * @param active - The tenant's candidates, which need not be read again.
   */
  fallbackChain(candidate: Candidate, active: readonly Candidate[], options: CallOptions = {}): Fallbacks {
    const chain = new FallbackChain(candidate.integration, this.#lookup(candidate, active, options));
    return {
      next: async () => {
        const link = await chain.next();
        return link === undefined || 'broken' in link ? link : { candidate: this.#read(link.integration)! };
      },
    };
  }

  /**
   * The tenant's local integration, made with defaults if it has none.
   *
   * @param isKnown - The caller says that the tenant exists.
   * @throws `integration_not_found` if it was switched off, or if `createDefaultLocal` forbids to make it.
   */
  async createDefaultLocal(tenantId: number, options: CallOptions = {}, isKnown = false): Promise<Candidate> {
    const kind = this.#localKind();
    if (kind === undefined) throw notFound(`Tenant ${tenantId} has no active integration that can serve the call.`);
    await this.#requireMayCreate(tenantId, options, isKnown);
    const integration = await this.#repository.createDefaultLocalIntegration(tenantId, options);
    const candidate = this.#read(integration);
    if (integration.active && candidate !== undefined) return candidate;
    throw notFound(
      `Tenant ${tenantId} has no active integration that can serve the call: its sentence_transformers integration ${integration.id} is inactive. ` +
        'Activate it, or add another integration of type ai_provider.',
    );
  }

  /** @throws {@link AiProviderError} `unknown_provider`, listing the known ones. */
  requireKind(name: string): ProviderKind {
    const kind = this.#kinds.get(name);
    if (kind !== undefined) return kind;
    throw new AiProviderError(
      `Expected a known provider, got ${JSON.stringify(name)}. Known are ${this.#knownKinds()}.`,
      { code: 'unknown_provider' },
    );
  }

  /**
   * Tries a row of a configuration page, saved or not, with one short call, which costs what such a call costs and is
   * not recorded.
   *
   * @example
   * const { status, problems, warnings } = await factory.testIntegration({ provider: 'openai', password, aiModel:
   * 'gpt-4o-mini' });
   * @returns What is wrong with the row, or the latency, model and dimension of the call. A failed call is a result and
   *   no error.
   * @throws `InvalidInputError` for a draft without a `provider`; the signal's reason.
   */
  async testIntegration(draft: IntegrationDraft, options: CallOptions = {}): Promise<IntegrationTest> {
    this.#requireOpen();
    return testIntegration(draft, [...this.#kinds.values()], options);
  }

  /**
   * Writes the usage rows that wait, as before a report is read.
   * @throws `RepositoryError` if that fails; the rows stay.
   */
  async flushUsage(): Promise<void> {
    await this.#outbox.flush();
  }

  /**
   * Closes every provider that it made and writes the usage rows that still wait. The repository and its database
   * handle stay open. May be called again, after a failure to write the rows that are left.
   *
   * @throws `RepositoryError` if usage rows cannot be written; they are in the log with their content.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#providers.close();
    await this.#outbox.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A row as a candidate; undefined if it is of no known kind. Warnings are logged once a row version. */
  #read(integration: Integration): Candidate | undefined {
    const { id: integrationId, tenantId, provider } = integration;
    const kind = this.#kinds.get(provider);
    if (kind === undefined) {
      this.#logger?.warn(
        { tenantId, integrationId, provider },
        'An integration was left out: its provider is of no kind that this factory has.',
      );
      return undefined;
    }
    const fingerprint = fingerprintOf(integration);
    const known = this.#candidates.get(integrationId);
    if (known?.fingerprint === fingerprint) return known;
    const candidate = readCandidate(integration, kind, fingerprint);
    this.#candidates.set(integrationId, candidate);
    const { warnings, problem } = candidate;
    const fields = { tenantId, integrationId, provider };
    if (problem !== undefined) this.#logger?.warn({ ...fields, error: problem }, 'An integration cannot be used.');
    if (warnings.length > 0) {
      this.#logger?.warn({ ...fields, warnings }, `Integration ${integrationId}: ${warnings.join(' ')}`);
    }
    return candidate;
  }

  #retain(tenantId: number, activeIds: ReadonlySet<number>): void {
    this.#providers.retain(tenantId, activeIds);
    for (const [id, { integration }] of this.#candidates) {
      if (integration.tenantId === tenantId && !activeIds.has(id)) this.#candidates.delete(id);
    }
  }

  #lookup({ integration }: Candidate, active: readonly Candidate[], options: CallOptions) {
    return {
      find: async (id: number) =>
        active.find((candidate) => candidate.integration.id === id)?.integration ??
        this.#repository.findIntegration(integration.tenantId, id, options),
      unusable: ({ provider }: Integration) =>
        this.#kinds.has(provider)
          ? undefined
          : `has the provider ${JSON.stringify(provider)}; known are ${this.#knownKinds()}`,
    };
  }

  async #requireMayCreate(tenantId: number, options: CallOptions, isKnown: boolean): Promise<void> {
    const mode = this.#createDefaultLocal;
    const exists = async () => (await this.#repository.tenantExists?.(tenantId, options)) ?? true;
    if (mode === 'always' || (mode === 'known' && (isKnown || (await exists())))) return;
    throw notFound(
      `Tenant ${tenantId} has no active integration that can serve the call. ` +
        (mode === 'never'
          ? 'Add one of type ai_provider.'
          : 'It has no row in `integrations` at all: is it a tenant? If it is, add one of type ai_provider, call `initializeProviders` once, ' +
            "or set `createDefaultLocal: 'always'`."),
    );
  }

  async #findOfKind(tenantId: number, kind: ProviderKind, options: CallOptions): Promise<Candidate | undefined> {
    const candidates = await this.listCandidates(tenantId, options);
    const found = chooseDefault(candidates.filter((candidate) => candidate.kind === kind));
    if (found !== undefined || kind === this.#localKind()) return found;
    throw notFound(
      `Tenant ${tenantId} has no active integration with the provider ${kind.name} and the type ai_provider. Add one, or activate the one it has.`,
    );
  }

  #localKind(): ProviderKind | undefined {
    return this.#kinds.get(defaultLocalIntegration.provider);
  }

  async #create(candidate: Candidate): Promise<AiProvider> {
    const { integration, kind } = candidate;
    const usageRecorder = this.#recording.recorderFor(candidate);
    return kind.create({ integration, usageRecorder, logger: this.#logger });
  }

  #knownKinds(): string {
    return ['auto', ...this.#kinds.keys()].join(', ');
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new AiProviderError('The provider factory is closed.', { code: 'aborted_by_close' });
  }
}

function requireKinds(kinds: unknown): void {
  const isKind = (kind: unknown) =>
    typeof (kind as ProviderKind | null)?.name === 'string' && typeof (kind as ProviderKind).create === 'function';
  if (Array.isArray(kinds) && kinds.length > 0 && kinds.every(isKind)) return;
  throw new InvalidInputError(
    `Expected \`kinds\` to be a list of provider kinds, such as \`standardProviderKinds({ credentialCipher })\`, got ${describeValue(kinds)}.`,
  );
}

function requireOneOf(value: unknown, allowed: readonly string[], name: string): void {
  if (allowed.includes(value as string)) return;
  const expected = allowed.map((each) => `'${each}'`).join(' or ');
  throw new InvalidInputError(`Expected \`${name}\` to be ${expected}, got ${describeValue(value)}.`);
}

function notFound(message: string): AiProviderError {
  return new AiProviderError(message, { code: 'integration_not_found' });
}
