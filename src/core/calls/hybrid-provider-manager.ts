import {
  AiProviderError,
  EmbeddingSpaceMismatchError,
  InvalidInputError,
  isAiProviderError,
  ProviderError,
} from '../../errors.js';
import { requireOptions, requireTenantOptions } from '../../internal/call-options.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { leavableGenerator } from '../../internal/leavable-generator.js';
import { rejectOnAbort } from '../../internal/reject-on-abort.js';
import { describeValue, requireMethods, requirePrompt, requireTexts } from '../../internal/validate.js';
import { Budgets } from '../cost/budget.js';
import { type BudgetOptions, limitsOfOptions } from '../cost/budget-limits.js';
import { embeddingSpaceId, mayProduceSpace } from '../embedding-space.js';
import type { CallOptions, ProviderCallOptions } from '../ports/call-options.js';
import type { EmbeddingResult, ProviderHealth } from '../ports/embedding-provider.js';
import { type Logger, toLogger } from '../ports/logger.js';
import type { Operation } from '../ports/provider-kind.js';
import type { StandardSchema } from '../ports/standard-schema.js';
import type { TextChunk, TextOptions, TextPrompt } from '../ports/text-provider.js';
import { type CallPlan, CallPlanner, estimateTokens, settle } from '../routing/call-plan.js';
import type { Candidate } from '../routing/candidate.js';
import { defaultLocalIntegration } from '../routing/default-local-integration.js';
import { type Served, withFailover } from '../routing/failover.js';
import type { ProviderFactory } from '../routing/provider-factory.js';
import { type Pass, ProviderGate } from '../routing/provider-gate.js';
import { Call } from './call.js';
import { Coalescing } from './coalescing.js';
import { EmbeddingCall } from './embedding-call.js';
import { EmbeddingReuse } from './embedding-reuse.js';
import {
  budgetOptionKeys,
  embeddingKeys,
  type HybridProviderManagerOptions,
  type IntegrationHealth,
  type IntegrationSummary,
  type ManagedCallOptions,
  type ManagedEmbeddingOptions,
  type ManagedEmbeddingResult,
  type ManagedTextOptions,
  type ManagedTextResult,
  managerKeys,
  type Provenance,
  textKeys,
  type UnchangedRecords,
} from './managed-options.js';
import { openStream, readStream } from './text-stream.js';

/** Tokens that a text is taken to have if neither the call nor the row bounds it. */
const usualOutputTokens = 1_000;

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
  readonly #planner: CallPlanner;
  readonly #reuse: EmbeddingReuse | undefined;
  readonly #coalescing: Coalescing<ManagedEmbeddingOptions, ManagedEmbeddingResult> | undefined;

  /** @throws `InvalidInputError` for an option that cannot be used. */
  constructor(options: HybridProviderManagerOptions) {
    requireKnownKeys<HybridProviderManagerOptions>(options, managerKeys);
    requireMethods(options.factory, 'factory', ['listCandidates', 'providerFor'], 'a ProviderFactory');
    this.#factory = options.factory;
    this.#logger = toLogger(options.logger);
    this.#gate = new ProviderGate(options.factory, options.circuitBreaker);
    const { policy, embeddingCache, budget = {}, onBudget, coalesceMs = 0 } = options;
    requireKnownKeys<BudgetOptions>(budget, budgetOptionKeys, 'budget');
    const { usageReader: reader } = options.factory;
    const budgets = new Budgets({ reader, onBudget, logger: this.#logger });
    this.#planner = new CallPlanner({ policy, budgets, limits: limitsOfOptions(budget), gate: this.#gate });
    this.#reuse = embeddingCache && new EmbeddingReuse(embeddingCache, this.#logger);
    if (typeof coalesceMs !== 'number' || !(coalesceMs >= 0 && coalesceMs <= 1_000)) {
      throw new InvalidInputError(`Expected \`coalesceMs\` to be 0 to 1,000, got ${describeValue(coalesceMs)}.`);
    }
    if (coalesceMs > 0) this.#coalescing = new Coalescing(coalesceMs, (texts, call) => this.#embed(texts, call));
  }

  /**
   * Reads the tenant's integrations, makes their providers and checks their fallback chains, so that a mistake in a row
   * shows now and not in the middle of the night. Says that the tenant exists: a default local integration is made if
   * it has none at all. Otherwise optional. Makes no network call and loads no model.
   *
   * @returns The integrations that are ready, ordered by id, with warnings about their rows.
   * @throws `AiProviderError` `invalid_config`, `credential_invalid` or `fallback_invalid`, naming the integration.
   *
   * @example
   * const ready = await manager.initializeProviders(7);
   * for (const { integrationId, warnings } of ready) logger.info({ integrationId, warnings }, 'Ready.');
   */
  async initializeProviders(tenantId: number, options: CallOptions = {}): Promise<IntegrationSummary[]> {
    requireOptions(options);
    const { wished: candidates } = await this.#candidates({ ...options, tenantId }, 'embedding', true);
    for (const candidate of candidates) {
      await this.#factory.providerFor(candidate);
      await this.#factory.fallbacksOf(candidate, options);
    }
    return candidates.map(describe);
  }

  /**
   * @param texts - Non-empty strings. No texts: an empty result without a call.
   * @returns `texts.length` x `embeddingSpace.dimension`, in order, with who made them and what they cost. With
   *   `'auto'`, up to 10 texts go to a local provider if the tenant has one, more to the gateway.
   * @throws `AiProviderError`: `invalid_input` before any I/O; `unknown_provider`; `integration_not_found`;
   *   `embedding_space_mismatch` if no provider makes vectors of `requiredSpace`; the provider's own error, or
   *   `providers_exhausted` if its fallbacks failed as well. Fallbacks serve only inside the same embedding space,
   *   unless `allowOtherSpace` is set. `deadline_exceeded` after `timeoutMs`.
   *
   * @example
   * const options = { tenantId: 7, purpose: 'bulk', tags: { job: 'nightly' } } as const;
   * const { embeddings, cost } = await manager.generateEmbeddings(['a text'], options);
   */
  async generateEmbeddings(
    texts: readonly string[],
    options: ManagedEmbeddingOptions,
  ): Promise<ManagedEmbeddingResult> {
    requireTenantOptions(options);
    requireKnownKeys<ManagedEmbeddingOptions>(options, embeddingKeys);
    // A copy: the caller may change the list while the call runs.
    const own = [...requireTexts(texts)];
    const coalescing = own.length === 1 && options.onBatch === undefined ? this.#coalescing : undefined;
    if (coalescing === undefined) return this.#embed(own, options);
    return this.#serve(new Call('embedding', options), ({ signal }) => coalescing.embed(own[0]!, options, signal));
  }

  #embed(texts: readonly string[], options: ManagedEmbeddingOptions): Promise<ManagedEmbeddingResult> {
    const vectors = new EmbeddingCall(texts, options);
    return this.#serve(new Call('embedding', options), async (call) => {
      try {
        const { wished, all } = await this.#candidates({ ...options, signal: call.signal }, 'embedding');
        const inputTokens = estimateTokens(texts.reduce((sum, text) => sum + text.length, 0));
        const work = {
          ...options,
          operation: 'embedding',
          textCount: texts.length,
          inputTokens,
          outputTokens: 0,
        } as const;
        const plan = await this.#planner.plan(call, wished, all, work);
        const first = await this.#chooseForEmbeddings(plan.ordered, options, call);
        const canServe = (next: Candidate) => this.#mayShareSpace(first, next, options);
        const served = await this.#withFailover(call, first, all, canServe, (candidate, callOptions, isFallback) =>
          this.#attemptEmbeddings(call, plan, vectors, candidate, callOptions, isFallback),
        );
        return { ...served.result, ...provenance(served, call, plan, texts.length > 0) };
      } catch (error) {
        throw vectors.toFinalError(error, call.account.cost);
      }
    });
  }

  /**
   * Enters records that needed no embedding, since they were stored already, in the usage rows: what they would have
   * cost is what was saved.
   *
   * @returns US dollars as a decimal string, or null if the price is unknown.
   */
  async recordUnchanged(records: UnchangedRecords): Promise<string | null> {
    const call = new Call('embedding', records);
    const { wished } = await this.#candidates({ ...records, signal: call.signal }, 'embedding');
    const candidate = await this.#chooseForEmbeddings(wished, records, call);
    const { textCount, characters } = records;
    const model = candidate.integration.aiModel ?? '';
    const reuse = { reason: 'unchanged', textCount, tokens: estimateTokens(characters), model } as const;
    return this.#factory.recordReuse(candidate, call, reuse);
  }

  /**
   * Text for a prompt.
   *
   * @throws `AiProviderError`: `invalid_input` before any I/O; `integration_not_found` if the tenant has nobody to
   *   generate text; the provider's own error, or `providers_exhausted` if its fallbacks failed as well;
   *   `deadline_exceeded` after `timeoutMs`.
   *
   * @example
   * const { text, cost } = await manager.generateText('Summarise: …', { tenantId: 7, tags: { feature: 'summaries' } });
   */
  generateText<Output>(
    prompt: TextPrompt,
    options: ManagedTextOptions & { readonly schema: StandardSchema<Output>; readonly tools?: undefined },
  ): Promise<ManagedTextResult & { readonly output: Output }>;
  generateText(prompt: TextPrompt, options: ManagedTextOptions): Promise<ManagedTextResult>;
  async generateText(prompt: TextPrompt, options: ManagedTextOptions): Promise<ManagedTextResult> {
    const call = openTextCall(prompt, options);
    return this.#serve(call, async () => {
      const served = await this.#serveText(call, prompt, options, (candidate, textOptions, plan) =>
        this.#gate.run(candidate, 'text', (provider) =>
          this.#planner.attempt(candidate, 1, call.account, plan.reserve(candidate), async () => {
            if (provider.generateText !== undefined) return provider.generateText(prompt, textOptions);
            throw new ProviderError(`The provider ${provider.id} cannot generate text.`, {
              code: 'unsupported_operation',
              provider: provider.id,
            });
          }),
        ),
      );
      return { ...served.result, ...provenance(served, call, served.plan) };
    });
  }

  /**
   * The same as it is generated. Another provider takes over only before the first chunk; after it a failure is an
   * error, and nothing is sent twice. The chunk of type `end` holds the whole result, with who made it and what it
   * cost. Leaving the iteration ends the request at once.
   *
   * @example
   * for await (const chunk of manager.streamText('Tell me a story.', { tenantId: 7 })) {
   *   if (chunk.type === 'text') process.stdout.write(chunk.text);
   * }
   */
  streamText(
    prompt: TextPrompt,
    options: ManagedTextOptions,
  ): AsyncGenerator<TextChunk<ManagedTextResult>, void, undefined> {
    requireTextOptions(options);
    return leavableGenerator(options.signal, (signal) => this.#streamText(prompt, { ...options, signal }));
  }

  /**
   * How each of the tenant's active providers is, ordered by integration id, with its circuit, its latest failure and
   * its usage rows. Makes no billed call; a broken row is `unhealthy`, not an error.
   *
   * @example
   * const all = await manager.health(7);
   * const sick = all.filter(({ status, circuit }) => status === 'unhealthy' || circuit !== 'closed');
   */
  async health(tenantId: number, options: CallOptions = {}): Promise<IntegrationHealth[]> {
    requireOptions(options);
    const candidates = await this.#factory.listCandidates(tenantId, options);
    return Promise.all(
      candidates.map(async (candidate) => ({
        ...describe(candidate),
        ...(await this.#healthOf(candidate, options)),
        ...this.#gate.healthOf(candidate),
        usageRows: this.#factory.usageCounts(candidate.integration.id),
      })),
    );
  }

  async *#streamText(
    prompt: TextPrompt,
    options: ManagedTextOptions,
  ): AsyncGenerator<TextChunk<ManagedTextResult>, void, undefined> {
    const call = openTextCall(prompt, options);
    let settleStream = () => {};
    try {
      const served = await call.run(() =>
        this.#serveText(call, prompt, options, async (candidate, textOptions, plan) => {
          const pass = await this.#gate.enter(candidate, 'text');
          settleStream = reserveFor(call, candidate, plan, pass);
          try {
            return await openStream(pass, prompt, textOptions, (work) => call.run(work));
          } catch (error) {
            settleStream();
            throw error;
          }
        }),
      );
      yield* readStream(served.result, (result) => ({ ...result, ...provenance(served, call, served.plan) }));
    } finally {
      settleStream();
      call.end();
    }
  }

  /** Runs a call to its end, which is at its deadline whatever `work` does. */
  async #serve<Result>(call: Call, work: (call: Call) => Promise<Result>): Promise<Result> {
    try {
      const result = call.run(() => work(call));
      return await (call.leftMs === Number.POSITIVE_INFINITY ? result : rejectOnAbort(result, call.signal));
    } finally {
      call.end();
    }
  }

  async #serveText<Result>(
    call: Call,
    prompt: TextPrompt,
    options: ManagedTextOptions,
    attempt: (candidate: Candidate, textOptions: TextOptions, plan: CallPlan) => Promise<Result>,
  ): Promise<Served<Result> & { readonly plan: CallPlan }> {
    const { wished, all } = await this.#candidates({ ...options, signal: call.signal }, 'text');
    const { model: asked, maxTokens: outputTokens = usualOutputTokens } = options;
    const inputTokens = estimateTokens(lengthOf(prompt) + (options.system?.length ?? 0));
    const work = { operation: 'text', model: asked, textCount: 1, inputTokens, outputTokens } as const;
    const plan = await this.#planner.plan(call, wished, all, work);
    const [first] = plan.ordered;
    if (first === undefined) throw nobodyFor('generates text', options);
    const { tenantId, preferredProvider, allowOtherModel = true, tags, timeoutMs, operation, ...textOptions } = options;
    const canServe = ({ kind }: Candidate) => kind.operations.includes('text');
    const served = await this.#withFailover(call, first, all, canServe, async (candidate, callOptions, isFallback) => {
      const { model, ...rest } = textOptions;
      const attempted = { ...rest, ...(isFallback && allowOtherModel ? {} : { model }), ...callOptions };
      return attempt(candidate, attempted, plan);
    });
    return { ...served, plan };
  }

  /** What is kept is served also while the circuit is open or the budget is used up. */
  async #attemptEmbeddings(
    call: Call,
    plan: CallPlan,
    vectors: EmbeddingCall,
    candidate: Candidate,
    callOptions: ProviderCallOptions,
    isFallback: boolean,
  ): Promise<EmbeddingResult> {
    const ask = () =>
      this.#gate.run(candidate, 'embedding', async (provider) => {
        const { share, missingCount } = vectors;
        const reservation = plan.reserve(candidate, share);
        return this.#planner.attempt(candidate, missingCount, call.account, reservation, () =>
          vectors.run(provider, candidate, callOptions, isFallback),
        );
      });
    if (this.#reuse === undefined || vectors.missingCount === 0) return ask();
    const provider = await this.#factory.providerFor(candidate);
    const { result, textCount, characters } = await vectors.runWithReuse(
      this.#reuse,
      provider,
      candidate,
      callOptions,
      isFallback,
      ask,
    );
    if (textCount > 0) {
      const tokens = estimateTokens(characters);
      this.#factory.recordReuse(candidate, call, { reason: 'cache', textCount, tokens, model: result.model });
    }
    return result;
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

  /**
   * All of the tenant's integrations, and those of the wished kind. A default local one is made if the call could use
   * it: for embeddings, with `auto` and no integration at all, or if the local kind is asked for by its name.
   */
  async #candidates(
    options: Pick<ManagedCallOptions, 'tenantId' | 'preferredProvider' | 'signal'>,
    operation: Operation,
    isKnown = false,
  ): Promise<{ wished: Candidate[]; all: Candidate[] }> {
    const { tenantId, preferredProvider = 'auto', signal } = options;
    signal?.throwIfAborted();
    const kind = preferredProvider === 'auto' ? undefined : this.#factory.requireKind(preferredProvider);
    const all = await this.#factory.listCandidates(tenantId, { signal });
    this.#gate.retain(tenantId, all);
    const wished = all.filter((candidate) => kind === undefined || candidate.kind === kind);
    const mayCreateLocal = kind === undefined ? all.length === 0 : kind.name === defaultLocalIntegration.provider;
    if (wished.length > 0 || !mayCreateLocal || operation !== 'embedding') return { wished, all };
    const created = await this.#factory.createDefaultLocal(tenantId, { signal }, isKnown);
    return { wished: [created], all: [...all, created] };
  }

  async #chooseForEmbeddings(
    ordered: readonly Candidate[],
    options: ManagedEmbeddingOptions,
    { signal }: Call,
  ): Promise<Candidate> {
    const { requiredSpace, model } = options;
    const [first] = ordered;
    if (first === undefined) throw nobodyFor('makes embeddings', options);
    if (requiredSpace === undefined) return first;
    const others: string[] = [];
    for (const candidate of ordered) {
      const { id, provider: name } = candidate.integration;
      try {
        const provider = await this.#factory.providerFor(candidate);
        const declared = await provider.embeddingSpace({ model, signal });
        if (mayProduceSpace(declared, requiredSpace)) return candidate;
        others.push(`integration ${id} (${name}) makes ${embeddingSpaceId(declared)}`);
      } catch (error) {
        // A row that cannot be used does not make vectors of this space; the others may.
        if (!isAiProviderError(error) || ordered.length === 1) throw error;
        others.push(`integration ${id} (${name}) cannot be used: ${error.message}`);
      }
    }
    throw new EmbeddingSpaceMismatchError(
      `No provider of tenant ${options.tenantId} makes vectors of the embedding space ${requiredSpace}: ${others.join('; ')}. ` +
        'Activate an integration with that model, or embed all records again into a new collection.',
      { expected: requiredSpace, received: others.join('; ') },
    );
  }

  /**
   * Whether vectors of a fallback may join those of the first candidate, as far as the rows show without loading a
   * model. A model in this process and one behind a gateway never share a space.
   */
  #mayShareSpace(
    first: Candidate,
    next: Candidate,
    { allowOtherSpace, requiredSpace }: ManagedEmbeddingOptions,
  ): boolean {
    if (!next.kind.operations.includes('embedding')) return false;
    return (allowOtherSpace === true && requiredSpace === undefined) || first.kind.isLocal === next.kind.isLocal;
  }

  async #withFailover<Result>(
    call: Call,
    first: Candidate,
    active: readonly Candidate[],
    canServe: (fallback: Candidate) => boolean,
    attempt: (candidate: Candidate, options: ProviderCallOptions, isFallback: boolean) => Promise<Result>,
  ): Promise<Served<Result>> {
    const { tenantId, purpose, signal } = call;
    const operation = call.operation === 'embedding' ? 'embedding' : 'text';
    const served = await withFailover(
      first,
      this.#factory.fallbackChain(first, active, { signal }),
      (candidate, isFallback) => {
        call.signal?.throwIfAborted();
        const hasFallback = this.#fallbacksAmong(active, candidate, operation).some(canServe);
        const usageRecorder = this.#factory.recorderFor(candidate, call);
        return attempt(candidate, { purpose, signal, hasFallback, usageRecorder }, isFallback);
      },
      (error) => this.#logger?.warn({ tenantId, error }, 'A link of a fallback chain was skipped.'),
    );
    if (served.failedOver.length > 0) {
      this.#logger?.warn(
        {
          tenantId,
          integrationId: served.candidate.integration.id,
          failedOver: served.failedOver.map(({ code, message }) => ({ code, message })),
        },
        'A fallback integration served a call.',
      );
    }
    return served;
  }

  /** The fallbacks of a candidate that are active and not left alone, as far as the chain leads along active rows. */
  #fallbacksAmong(active: readonly Candidate[], { integration }: Candidate, operation: Operation): Candidate[] {
    const found: Candidate[] = [];
    const seen = new Set([integration.id]);
    let nextId = integration.fallbackIntegrationId;
    while (nextId !== null && !seen.has(nextId)) {
      seen.add(nextId);
      const next = active.find((candidate) => candidate.integration.id === nextId);
      if (next === undefined) break;
      if (next.problem === undefined && this.#gate.healthOf(next, operation).circuit !== 'open') found.push(next);
      nextId = next.integration.fallbackIntegrationId;
    }
    return found;
  }
}

/** Sets money aside for a stream. @returns Settles it, once the stream has ended. */
function reserveFor({ account }: Call, candidate: Candidate, plan: CallPlan, pass: Pass): () => void {
  try {
    const reservation = plan.reserve(candidate);
    const before = account.entries.length;
    return () => settle(reservation, account, before);
  } catch (error) {
    pass.settle(error);
    throw error;
  }
}

/** In characters. */
function lengthOf(prompt: TextPrompt): number {
  if (typeof prompt === 'string') return prompt.length;
  return prompt.reduce((sum, { content }) => sum + content.length, 0);
}

function requireTextOptions(options: unknown): void {
  requireTenantOptions(options);
  requireKnownKeys<ManagedTextOptions>(options, textKeys);
}

function openTextCall(prompt: TextPrompt, options: ManagedTextOptions): Call {
  requireTextOptions(options);
  requirePrompt(prompt);
  const { operation = 'text_generation' } = options;
  return new Call(requireTextOperation(operation), options);
}

function requireTextOperation(operation: unknown): 'text_generation' | 'analysis' {
  if (operation === 'text_generation' || operation === 'analysis') return operation;
  throw new InvalidInputError(
    `Expected \`operation\` to be 'text_generation' or 'analysis', got ${describeValue(operation)}.`,
  );
}

/**
 * @param isWork - Something was asked for: a call without an entry was then served by a provider that does not say what
 * it used.
 */
function provenance(
  { candidate, failedOver }: Served<unknown>,
  { account }: Call,
  plan: CallPlan,
  isWork = true,
): Provenance {
  const { id: integrationId, provider } = candidate.integration;
  const isUnsaid = isWork && account.entries.length === 0;
  return {
    provider,
    integrationId,
    cost: isUnsaid ? null : account.cost,
    choice: plan.choiceOf(candidate),
    failedOver,
  };
}

function describe({ integration, warnings }: Candidate): IntegrationSummary {
  const { id: integrationId, provider, aiModel: model } = integration;
  return { integrationId, provider, model, ...(warnings.length === 0 ? {} : { warnings }) };
}

function nobodyFor(what: string, { tenantId, preferredProvider = 'auto' }: ManagedCallOptions): AiProviderError {
  const among = preferredProvider === 'auto' ? '' : ` of the provider ${preferredProvider}`;
  return new AiProviderError(
    `Tenant ${tenantId} has no active integration${among} that ${what}. Add a row with the type ai_provider, or activate one.`,
    { code: 'integration_not_found' },
  );
}
