import { type AiProviderError, isAiProviderError, PartialEmbeddingError } from '../../errors.js';
import { addCosts, calculateCost, parsePriceList } from '../cost/cost.js';
import {
  type DeclaredEmbeddingSpace,
  type EmbeddingSpace,
  embeddingSpaceId,
  requireSpace,
} from '../embedding-space.js';
import type {
  EmbeddingOptions,
  EmbeddingResult,
  EmbeddingUsage,
  PartialEmbeddingResult,
} from '../ports/embedding-provider.js';
import type { AiProvider } from '../ports/provider-kind.js';
import type { Candidate } from '../routing/routing.js';

export interface EmbeddingCallOptions extends EmbeddingOptions {
  readonly requiredSpace?: string | undefined;
  readonly allowOtherSpace?: boolean | undefined;
}

/**
 * One embedding call over the providers that it may take. Vectors that one provider made before it failed are kept for the next one of the
 * same space; a provider of another space starts anew with all texts.
 */
export class EmbeddingCall {
  readonly #texts: readonly string[];
  readonly #options: EmbeddingCallOptions;
  #embeddings: (Float32Array | undefined)[];
  #failures = new Map<number, AiProviderError>();
  #space: EmbeddingSpace | null = null;
  #spaceId: string | undefined;
  #model = '';
  #inputTokens: number | null = 0;
  #costs: (string | null)[] = [];

  constructor(texts: readonly string[], options: EmbeddingCallOptions) {
    this.#texts = texts;
    this.#options = options;
    this.#embeddings = new Array(texts.length).fill(undefined);
    this.#spaceId = options.requiredSpace;
  }

  /** Exact US dollars of all that was paid for this call, or null where a part is unknown. */
  get cost(): string | null {
    return addCosts(this.#costs);
  }

  /** Lets a provider embed what has no vector yet. */
  async run(provider: AiProvider, candidate: Candidate): Promise<EmbeddingResult> {
    const { model, inputType, truncate, signal } = this.#options;
    this.#joinSpace(await provider.embeddingSpace({ model, signal }), candidate);
    const positions = this.#missingPositions();
    const texts = positions.length === this.#texts.length ? this.#texts : positions.map((at) => this.#texts[at]!);
    try {
      const options = { model, inputType, truncate, onBatch: this.#onBatchOf(positions), signal };
      this.#take(await provider.generateEmbeddings(texts, options), positions, candidate);
    } catch (error) {
      if (!isPartial(error)) throw error;
      this.#take(error.partialResult, positions, candidate);
      for (const failure of error.failures) this.#failures.set(positions[failure.position]!, failure.error);
      throw error;
    }
    return { ...this.#result(), embeddings: this.#embeddings as Float32Array[], embeddingSpace: this.#space! };
  }

  /** The error with which the call ends: it carries the vectors that were made, if any were. */
  toFinalError(error: unknown): unknown {
    if (!isAiProviderError(error) || this.#space === null) return error;
    const failures = this.#missingPositions().map((position) => ({
      position,
      error: this.#failures.get(position) ?? error,
    }));
    return new PartialEmbeddingError<PartialEmbeddingResult>(
      `${failures.length} of ${this.#texts.length} texts got no vector; those of the others are in \`partialResult\`. ${error.message}`,
      {
        provider: 'provider' in error ? String(error.provider) : 'several',
        isRetryable: error.isRetryable,
        cause: error,
        failures,
        partialResult: { ...this.#result(), embeddings: this.#embeddings, embeddingSpace: this.#space },
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

  #joinSpace(declared: DeclaredEmbeddingSpace, { integration }: Candidate): void {
    if (this.#spaceId !== undefined && this.#options.allowOtherSpace && this.#options.requiredSpace === undefined) {
      const isOther = embeddingSpaceId(declared) !== this.#spaceId;
      if (isOther) this.#startAnew();
    }
    this.#spaceId ??= embeddingSpaceId(declared);
    requireSpace(
      this.#spaceId,
      declared,
      `A call that integration ${integration.id} (${integration.provider}) was to serve`,
    );
  }

  #startAnew(): void {
    this.#embeddings.fill(undefined);
    this.#failures.clear();
    this.#space = null;
    this.#spaceId = undefined;
  }

  #missingPositions(): number[] {
    const positions: number[] = [];
    for (let at = 0; at < this.#embeddings.length; at++) if (this.#embeddings[at] === undefined) positions.push(at);
    return positions;
  }

  #take(
    part: PartialEmbeddingResult | EmbeddingResult,
    positions: readonly number[],
    { integration }: Candidate,
  ): void {
    const tokens = { inputTokens: part.usage.inputTokens, outputTokens: 0 };
    this.#costs.push(calculateCost(parsePriceList(integration), part.model, tokens));
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

  #result(): { model: string; usage: EmbeddingUsage } {
    const inputCount = this.#embeddings.filter((embedding) => embedding !== undefined).length;
    return { model: this.#model, usage: { inputCount, inputTokens: this.#inputTokens } };
  }
}

function isPartial(error: unknown): error is PartialEmbeddingError<PartialEmbeddingResult> {
  return isAiProviderError(error) && error.code === 'embedding_partially_failed';
}

function addTokens(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}
