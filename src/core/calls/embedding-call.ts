import { type AiProviderError, isAiProviderError, PartialEmbeddingError } from '../../errors.js';
import {
  type DeclaredEmbeddingSpace,
  type EmbeddingSpace,
  embeddingSpaceId,
  mayProduceSpace,
  requireSpace,
  withoutDimension,
} from '../embedding-space.js';
import type { ProviderCallOptions } from '../ports/call-options.js';
import type {
  EmbeddingOptions,
  EmbeddingResult,
  EmbeddingUsage,
  PartialEmbeddingResult,
} from '../ports/embedding-provider.js';
import type { AiProvider } from '../ports/provider-kind.js';
import type { Candidate } from '../routing/candidate.js';
import type { EmbeddingReuse } from './embedding-reuse.js';

export interface EmbeddingCallOptions extends Pick<EmbeddingOptions, 'model' | 'inputType' | 'truncate' | 'onBatch'> {
  readonly requiredSpace?: string | undefined;
  readonly allowOtherSpace?: boolean | undefined;
  readonly allowOtherModel?: boolean | undefined;
}

/** What an unfinished call carries in its error: the vectors that were made, and what all of it cost. */
export interface ManagedPartialEmbeddingResult extends PartialEmbeddingResult {
  /** Exact US dollars as a decimal string, or null if the price or the token count is unknown. */
  readonly cost: string | null;
}

/**
 * The vectors of one embedding call over the providers that it may take. Vectors that one provider made before it
 * failed are kept for the next one of the same space; a provider of another space starts again with all texts.
 */
export class EmbeddingCall {
  readonly #texts: readonly string[];
  readonly #options: EmbeddingCallOptions;
  #embeddings: (Float32Array | undefined)[];
  #failures = new Map<number, AiProviderError>();
  #space: EmbeddingSpace | null = null;
  #spaceId: string | undefined;
  #model = '';
  /** Positions that another call is embedding, or that are about to come from the cache. */
  #held: ReadonlySet<number> = new Set();
  #inputTokens: number | null = 0;

  constructor(texts: readonly string[], options: EmbeddingCallOptions) {
    this.#texts = texts;
    this.#options = options;
    this.#embeddings = new Array(texts.length).fill(undefined);
    this.#spaceId = options.requiredSpace;
  }

  /** How many texts are to be asked for. */
  get missingCount(): number {
    return this.#missingPositions().length;
  }

  /** How much of the call's text these are, 0 to 1. */
  get share(): number {
    const all = this.#texts.reduce((sum, text) => sum + text.length, 0);
    const missing = this.#missingPositions().reduce((sum, position) => sum + this.#texts[position]!.length, 0);
    return all === 0 ? 0 : missing / all;
  }

  /**
   * Lets a provider embed what has no vector yet.
   *
   * @param isFallback - A fallback uses its own model if that makes vectors of the call's space.
   */
  async run(
    provider: AiProvider,
    candidate: Candidate,
    callOptions: ProviderCallOptions,
    isFallback = false,
  ): Promise<EmbeddingResult> {
    const { inputType, truncate } = this.#options;
    const model = await this.#joinSpace(provider, candidate, callOptions, isFallback);
    const positions = this.#missingPositions();
    const texts = positions.length === this.#texts.length ? this.#texts : positions.map((at) => this.#texts[at]!);
    try {
      const options = { ...callOptions, model, inputType, truncate, onBatch: this.#onBatchOf(positions) };
      this.#take(await provider.generateEmbeddings(texts, options), positions);
    } catch (error) {
      if (!isAiProviderError(error, 'embedding_partially_failed')) throw error;
      this.#take(error.partialResult as PartialEmbeddingResult, positions);
      for (const failure of error.failures) this.#failures.set(positions[failure.position]!, failure.error);
      throw error;
    }
    return { ...this.#result(), embeddings: this.#embeddings as Float32Array[], embeddingSpace: this.#space! };
  }

  /**
   * The same, but what is kept or what another call is embedding just now is not asked for.
   *
   * @param ask - Lets the provider embed the rest, by {@link EmbeddingCall.run}.
   * @returns How many texts were not asked for, and how many characters they have.
   */
  async runWithReuse(
    reuse: EmbeddingReuse,
    provider: AiProvider,
    candidate: Candidate,
    callOptions: ProviderCallOptions,
    isFallback: boolean,
    ask: () => Promise<unknown>,
  ): Promise<{ readonly result: EmbeddingResult; readonly textCount: number; readonly characters: number }> {
    const { inputType = 'document', truncate = false } = this.#options;
    const { signal } = callOptions;
    const model = await this.#joinSpace(provider, candidate, callOptions, isFallback);
    const declared = await provider.embeddingSpace({ model, signal });
    const positions = this.#missingPositions();
    const { tenantId } = candidate.integration;
    const scope = { tenantId, space: withoutDimension(embeddingSpaceId(declared)), inputType, truncate, signal };
    const texts = positions.map((at) => this.#texts[at]!);
    const reused: number[] = [];
    const take = (at: number, vector: Float32Array): boolean => {
      if (!this.#takeReused(positions[at]!, vector, declared)) return false;
      reused.push(positions[at]!);
      return true;
    };
    await reuse.fill(texts, scope, take, async (open, report) => {
      const asked = new Set(open.map((at) => positions[at]!));
      this.#held = new Set(positions.filter((position) => !asked.has(position)));
      try {
        await ask();
      } finally {
        this.#held = new Set();
        for (const at of open) {
          const vector = this.#embeddings[positions[at]!];
          if (vector !== undefined) report(at, vector);
        }
      }
    });
    const characters = reused.reduce((sum, position) => sum + this.#texts[position]!.length, 0);
    await this.#reportReused(reused);
    const result = { ...this.#result(), embeddings: this.#embeddings as Float32Array[], embeddingSpace: this.#space! };
    return { result, textCount: reused.length, characters };
  }

  /** The error with which the call ends: it carries the vectors that were made, if any were. */
  toFinalError(error: unknown, cost: string | null): unknown {
    if (!isAiProviderError(error) || this.#space === null) return error;
    const failures = this.#missingPositions().map((position) => ({
      position,
      error: this.#failures.get(position) ?? error,
    }));
    return new PartialEmbeddingError<ManagedPartialEmbeddingResult>(
      `${failures.length} of ${this.#texts.length} texts got no vector; those of the others are in \`partialResult\`. ${error.message}`,
      {
        provider: 'provider' in error ? String(error.provider) : 'several',
        isRetryable: error.isRetryable,
        cause: error,
        failures,
        partialResult: { ...this.#result(), embeddings: this.#embeddings, embeddingSpace: this.#space, cost },
      },
    );
  }

  /** The caller's, in positions of the whole call. */
  #onBatchOf(positions: readonly number[]): EmbeddingOptions['onBatch'] {
    const { onBatch } = this.#options;
    const totalCount = this.#texts.length;
    if (onBatch === undefined || positions.length === totalCount) return onBatch;
    return (batch) =>
      onBatch({
        ...batch,
        positions: batch.positions.map((position) => positions[position]!),
        doneCount: totalCount - positions.length + batch.doneCount,
        totalCount,
      });
  }

  /** Sees to it that the provider makes vectors of the call's space. @returns The model to ask for. */
  async #joinSpace(
    provider: AiProvider,
    { integration }: Candidate,
    { signal }: ProviderCallOptions,
    isFallback: boolean,
  ): Promise<string | undefined> {
    const { model, requiredSpace, allowOtherSpace = false, allowOtherModel = true } = this.#options;
    const chosen = isFallback && allowOtherModel && (await this.#fits(provider, undefined, signal)) ? undefined : model;
    const declared = await provider.embeddingSpace({ model: chosen, signal });
    const isOther = this.#spaceId !== undefined && embeddingSpaceId(declared) !== this.#spaceId;
    if (isOther && allowOtherSpace && requiredSpace === undefined) this.#startAgain();
    this.#spaceId ??= embeddingSpaceId(declared);
    const what = `A call that integration ${integration.id} (${integration.provider}) was to serve`;
    requireSpace(this.#spaceId, declared, what);
    return chosen;
  }

  async #fits(provider: AiProvider, model: string | undefined, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#spaceId === undefined || this.#options.allowOtherSpace) return true;
    return mayProduceSpace(await provider.embeddingSpace({ model, signal }), this.#spaceId);
  }

  #startAgain(): void {
    this.#embeddings.fill(undefined);
    this.#failures.clear();
    this.#space = null;
    this.#spaceId = undefined;
  }

  #missingPositions(): number[] {
    const positions: number[] = [];
    for (let at = 0; at < this.#embeddings.length; at++) {
      if (this.#embeddings[at] === undefined && !this.#held.has(at)) positions.push(at);
    }
    return positions;
  }

  #take(part: PartialEmbeddingResult | EmbeddingResult, positions: readonly number[]): void {
    this.#inputTokens = addTokens(this.#inputTokens, part.usage.inputTokens);
    this.#model = part.model;
    if (part.embeddingSpace === null) return;
    requireSpace(this.#spaceId!, part.embeddingSpace, 'The call');
    this.#space = part.embeddingSpace;
    this.#spaceId = embeddingSpaceId(part.embeddingSpace);
    part.embeddings.forEach((embedding, index) => {
      if (embedding === undefined) return;
      this.#embeddings[positions[index]!] = embedding;
      this.#failures.delete(positions[index]!);
    });
  }

  /** @returns False for a vector of another dimension: it is of another space than it was kept for. */
  #takeReused(position: number, vector: Float32Array, declared: DeclaredEmbeddingSpace): boolean {
    const space = { ...declared, dimension: vector.length };
    if (!mayProduceSpace(declared, embeddingSpaceId(space))) return false;
    if (this.#spaceId !== undefined && !mayProduceSpace(space, this.#spaceId)) return false;
    this.#space ??= space;
    this.#spaceId = embeddingSpaceId(this.#space);
    this.#model ||= declared.model;
    this.#embeddings[position] = vector;
    this.#failures.delete(position);
    return true;
  }

  /** Progress counts what was not asked for as well. */
  async #reportReused(positions: readonly number[]): Promise<void> {
    if (positions.length === 0) return;
    const embeddings = positions.map((at) => this.#embeddings[at]!);
    const doneCount = this.#embeddings.filter((embedding) => embedding !== undefined).length;
    await this.#options.onBatch?.({ positions, embeddings, doneCount, totalCount: this.#texts.length });
  }

  #result(): { model: string; usage: EmbeddingUsage } {
    const inputCount = this.#embeddings.filter((embedding) => embedding !== undefined).length;
    return { model: this.#model, usage: { inputCount, inputTokens: this.#inputTokens } };
  }
}

function addTokens(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}
