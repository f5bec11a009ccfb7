import { AiProviderError, EmbeddingSpaceMismatchError, ProviderError } from '../../errors.js';
import { requireOptions } from '../../internal/call-options.js';
import { leavableGenerator } from '../../internal/leavable-generator.js';
import { requirePrompt, requireTenantId, requireTexts } from '../../internal/validate.js';
import { calculateCost, parsePriceList } from '../cost/cost.js';
import { embeddingSpaceId, mayProduceSpace } from '../embedding-space.js';
import type { CallOptions } from '../ports/call-options.js';
import type { EmbeddingOptions, EmbeddingResult, ProviderHealth } from '../ports/embedding-provider.js';
import { type Logger, toLogger } from '../ports/logger.js';
import type { AiProvider } from '../ports/provider-kind.js';
import type { TextChunk, TextOptions, TextPrompt, TextResult } from '../ports/text-provider.js';
import type { CircuitBreakerOptions } from '../routing/circuit-breaker.js';
import { defaultLocalIntegration } from '../routing/default-local-integration.js';
import { type Served, withFailover } from '../routing/failover.js';
import type { ProviderFactory } from '../routing/provider-factory.js';
import { ProviderGate } from '../routing/provider-gate.js';
import { type Candidate, orderForEmbeddings, orderForText } from '../routing/routing.js';
import { EmbeddingCall } from './embedding-call.js';
import { openStream, readStream } from './text-stream.js';

export interface HybridProviderManagerOptions {
  /** Stays the host's: close it when the host stops. */
  readonly factory: ProviderFactory;
  readonly logger?: Logger | undefined;
  /** When a failing provider is left alone for a while. */
  readonly circuitBreaker?: Pick<CircuitBreakerOptions, 'failureThreshold' | 'cooldownMs'> | undefined;
}

interface TenantCallOptions {
  readonly tenantId: number;
  /** `'auto'`, or the `provider` column's value: `'wex_ai_gateway'`, `'sentence_transformers'`, … @default 'auto' */
  readonly preferredProvider?: string | undefined;
}

export interface ManagedEmbeddingOptions extends TenantCallOptions, EmbeddingOptions {
  /** Only a provider of this embedding space (its `embeddingSpaceId`) may serve the call. For vectors that join or search stored ones. */
  readonly requiredSpace?: string | undefined;
  /**
   * Lets a fallback of another embedding space compute **all** texts of the call when the chosen provider is unavailable. Such vectors
   * cannot be compared with those of the first provider: only for vectors that are used by themselves. @default false
   */
  readonly allowOtherSpace?: boolean | undefined;
}

export interface ManagedTextOptions extends TenantCallOptions, TextOptions {}

/** Which integration served a call, and what it cost. */
export interface Provenance {
  /** The `provider` column's value, such as `wex_ai_gateway`. */
  readonly provider: string;
  readonly integrationId: number;
  /** Exact US dollars as a decimal string, or null where the price or the token count is unknown. */
  readonly cost: string | null;
  /** Why others did not serve it; empty where the first one did. */
  readonly failedOver: readonly AiProviderError[];
}

export interface ManagedEmbeddingResult extends EmbeddingResult, Provenance {}
export interface ManagedTextResult extends TextResult, Provenance {}

export interface IntegrationHealth extends ProviderHealth {
  readonly integrationId: number;
  readonly provider: string;
  readonly model: string | null;
}

/**
 * Embeddings and text for a tenant from the best provider that it has, with failover.
 *
 * @example
 * const manager = new HybridProviderManager({ factory });
 * const { embeddings, provider, cost } = await manager.generateEmbeddings(texts, { tenantId: 7 });
 */
export class HybridProviderManager {
  readonly #factory: ProviderFactory;
  readonly #logger: Logger | undefined;
  readonly #gate: ProviderGate;

  constructor(options: HybridProviderManagerOptions) {
    this.#factory = options.factory;
    this.#logger = toLogger(options.logger);
    this.#gate = new ProviderGate(options.factory, options.circuitBreaker);
  }

  /**
   * Reads the tenant's integrations, makes their providers and checks their fallback chains, so that a mistake in a row shows now and not in
   * the middle of the night. Optional: every call does what it needs of this. Makes no network call and loads no model.
   *
   * @returns The integrations that are ready, ordered by id; a default local one is made where the tenant has none at all.
   * @throws `AiProviderError` `invalid_config`, `credential_invalid` or `fallback_invalid`, naming the integration.
   */
  async initializeProviders(
    tenantId: number,
    options: CallOptions = {},
  ): Promise<Pick<IntegrationHealth, 'integrationId' | 'provider' | 'model'>[]> {
    const candidates = await this.#candidates({ ...options, tenantId });
    for (const candidate of candidates) {
      await this.#factory.providerFor(candidate);
      await this.#factory.fallbacksOf(candidate, options);
    }
    return candidates.map(describe);
  }

  /**
   * @param texts - Non-empty strings. No texts: an empty result without a call.
   * @returns `texts.length` x `embeddingSpace.dimension`, in order, with who made them and what they cost. With `'auto'`, up to 10 texts go to a
   *   local provider where the tenant has one, more to the gateway.
   * @throws `AiProviderError`: `invalid_input` before any I/O; `unknown_provider`; `integration_not_found`; `embedding_space_mismatch` where no
   *   provider makes vectors of `requiredSpace`; the provider's own error, or `providers_exhausted` where its fallbacks failed as well. Fallbacks
   *   serve only inside the same embedding space, unless `allowOtherSpace` is set.
   */
  async generateEmbeddings(
    texts: readonly string[],
    options: ManagedEmbeddingOptions,
  ): Promise<ManagedEmbeddingResult> {
    requireTexts(texts);
    const candidates = orderForEmbeddings(await this.#candidates(options), texts.length);
    const first = await this.#chooseForEmbeddings(candidates, options);
    const call = new EmbeddingCall(texts, options);
    try {
      const served = await this.#withFailover(first, options, (candidate) =>
        this.#gate.run(candidate, (provider) => call.run(provider, candidate)),
      );
      return { ...served.result, ...provenance(served, call.cost) };
    } catch (error) {
      throw call.toFinalError(error);
    }
  }

  /**
   * @throws `AiProviderError`: `invalid_input` before any I/O; `integration_not_found` where the tenant has nobody to generate text; the provider's
   *   own error, or `providers_exhausted` where its fallbacks failed as well.
   */
  async generateText(prompt: TextPrompt, options: ManagedTextOptions): Promise<ManagedTextResult> {
    const served = await this.#serveText(prompt, options, async (provider, prompt, textOptions) => {
      if (provider.generateText !== undefined) return provider.generateText(prompt, textOptions);
      throw new ProviderError(`The provider ${provider.id} cannot generate text.`, {
        code: 'unsupported_operation',
        provider: provider.id,
      });
    });
    return withProvenance(served, served.result);
  }

  /**
   * The same as it is generated. Another provider takes over only before the first chunk; after it a failure is an error, and nothing is sent twice.
   * The chunk of type `end` holds the whole result, with who made it and what it cost. Leaving the iteration ends the request at once.
   *
   * @example
   * for await (const chunk of manager.streamText('Tell me a story.', { tenantId: 7 })) if (chunk.type === 'text') write(chunk.text);
   */
  streamText(
    prompt: TextPrompt,
    options: ManagedTextOptions,
  ): AsyncGenerator<TextChunk<ManagedTextResult>, void, undefined> {
    requireOptions(options);
    return leavableGenerator(options.signal, (signal) => this.#streamText(prompt, { ...options, signal }));
  }

  /** How each of the tenant's active providers is, ordered by integration id. Makes no billed call; a broken row is `unhealthy`, not an error. */
  async health(tenantId: number, options: CallOptions = {}): Promise<IntegrationHealth[]> {
    requireOptions(options);
    const candidates = await this.#factory.listCandidates(requireTenantId(tenantId), options);
    return Promise.all(
      candidates.map(async (candidate) => ({ ...describe(candidate), ...(await this.#healthOf(candidate, options)) })),
    );
  }

  async *#streamText(
    prompt: TextPrompt,
    options: ManagedTextOptions,
  ): AsyncGenerator<TextChunk<ManagedTextResult>, void, undefined> {
    const served = await this.#serveText(prompt, options, openStream);
    yield* readStream(served.result, (result) => withProvenance(served, result));
  }

  async #serveText<Result>(
    prompt: TextPrompt,
    options: ManagedTextOptions,
    ask: (provider: AiProvider, prompt: TextPrompt, options: TextOptions) => Promise<Result>,
  ): Promise<Served<Result>> {
    requirePrompt(prompt);
    const [first] = orderForText(await this.#candidates(options));
    if (first === undefined) throw nobodyFor('generates text', options);
    const { tenantId, preferredProvider, ...textOptions } = options;
    return this.#withFailover(first, options, (candidate) =>
      this.#gate.run(candidate, (provider) => ask(provider, prompt, textOptions)),
    );
  }

  async #healthOf(candidate: Candidate, options: CallOptions): Promise<ProviderHealth> {
    try {
      return await (await this.#factory.providerFor(candidate)).health(options);
    } catch (error) {
      options.signal?.throwIfAborted();
      return {
        status: 'unhealthy',
        detail: error instanceof Error ? error.message : 'The provider could not be made.',
      };
    }
  }

  /** The tenant's integrations of the wished kind; with `auto` and none at all, a default local one. */
  async #candidates(options: TenantCallOptions & CallOptions): Promise<Candidate[]> {
    requireOptions(options);
    const { tenantId, preferredProvider = 'auto' } = options;
    requireTenantId(tenantId);
    options.signal?.throwIfAborted();
    const kind = preferredProvider === 'auto' ? undefined : this.#factory.requireKind(preferredProvider);
    const all = await this.#factory.listCandidates(tenantId, options);
    const wished = all.filter((candidate) => kind === undefined || candidate.kind === kind);
    const mayCreateLocal = kind === undefined ? all.length === 0 : kind.name === defaultLocalIntegration.provider;
    return wished.length === 0 && mayCreateLocal ? [await this.#factory.createDefaultLocal(tenantId, options)] : wished;
  }

  async #chooseForEmbeddings(ordered: readonly Candidate[], options: ManagedEmbeddingOptions): Promise<Candidate> {
    const { requiredSpace, model, signal } = options;
    const [first] = ordered;
    if (first === undefined) throw nobodyFor('makes embeddings', options);
    if (requiredSpace === undefined) return first;
    const others: string[] = [];
    for (const candidate of ordered) {
      const provider = await this.#factory.providerFor(candidate);
      const declared = await provider.embeddingSpace({ model, signal });
      if (mayProduceSpace(declared, requiredSpace)) return candidate;
      others.push(
        `integration ${candidate.integration.id} (${candidate.integration.provider}) makes ${embeddingSpaceId(declared)}`,
      );
    }
    throw new EmbeddingSpaceMismatchError(
      `No provider of tenant ${options.tenantId} makes vectors of the embedding space ${requiredSpace}: ${others.join('; ')}. ` +
        'Activate an integration with that model, or embed all records again into a new collection.',
      { expected: requiredSpace, received: others.join('; ') },
    );
  }

  async #withFailover<Result>(
    first: Candidate,
    options: TenantCallOptions & CallOptions,
    attempt: (candidate: Candidate) => Promise<Result>,
  ): Promise<Served<Result>> {
    const served = await withFailover(first, (candidate) => this.#factory.fallbacksOf(candidate, options), attempt);
    if (served.failedOver.length > 0) {
      this.#logger?.warn(
        {
          tenantId: options.tenantId,
          integrationId: served.candidate.integration.id,
          failedOver: served.failedOver.map(({ code, message }) => ({ code, message })),
        },
        'A fallback integration served a call.',
      );
    }
    return served;
  }
}

function provenance({ candidate, failedOver }: Served<unknown>, cost: string | null): Provenance {
  const { integration } = candidate;
  return { provider: integration.provider, integrationId: integration.id, cost, failedOver };
}

function withProvenance(served: Served<unknown>, result: TextResult): ManagedTextResult {
  const cost = calculateCost(parsePriceList(served.candidate.integration), result.model, result.usage);
  return { ...result, ...provenance(served, cost) };
}

function describe({ integration }: Candidate): Pick<IntegrationHealth, 'integrationId' | 'provider' | 'model'> {
  return { integrationId: integration.id, provider: integration.provider, model: integration.aiModel };
}

function nobodyFor(what: string, { tenantId, preferredProvider = 'auto' }: TenantCallOptions): AiProviderError {
  const among = preferredProvider === 'auto' ? '' : ` of the provider ${preferredProvider}`;
  return new AiProviderError(
    `Tenant ${tenantId} has no active integration${among} that ${what}. Add a row with the type ai_provider, or activate one.`,
    { code: 'integration_not_found' },
  );
}
