import pLimit from 'p-limit';
import type { EmbeddingOptions } from '../../../core/ports/embedding-provider.js';
import { type AiProviderError, type EmbeddingFailure, isAiProviderError, ProviderError } from '../../../errors.js';
import { failureBehind } from '../calls/to-provider-error.js';
import type { Batch, BatchPlan } from './batches.js';
import { limitInWords } from './input-limit.js';

/** What one request brought: by position in the batch, a vector or why there is none. */
export type BatchOutcome = readonly (Float32Array | AiProviderError)[];

export interface EmbedRunOptions {
  readonly concurrency: number;
  /**
   * Makes one request, with its retries; fails with an `AiProviderError` if no input of the batch got a vector.
   *
   * @param onAnswered - To be called when the answer is here in full: the next request may start while this one is
   * read.
   * @param maxRetries - @default that of the row
   */
  embedBatch(batch: Batch, onAnswered: () => void, maxRetries?: number): Promise<BatchOutcome>;
  /** The most inputs that the server was seen to take in one request. */
  inputLimit(): number;
  learnInputLimit(limit: number): void;
  /** This many more requests have to be made one after the other. */
  addRounds(count: number): void;
  /** Makes no further request. */
  stop(error: AiProviderError): void;
  readonly onBatch: EmbeddingOptions['onBatch'];
}

export interface EmbedRunResult {
  readonly embeddings: (Float32Array | undefined)[];
  /** Ordered by position. */
  readonly failures: readonly EmbeddingFailure[];
}

/** A part of a batch that was refused as a whole, when nothing had been embedded yet. */
interface PutOff {
  readonly batch: Batch;
  readonly error: AiProviderError;
}

/** How much longer a batch is worth cutting up. */
interface Budget {
  refusals: number;
}

/** After this many answers without a single vector, and no other answers, the rest is not sent. */
const mostUselessAnswers = 4;

/**
 * Embeds texts in batches through a sliding window of requests. A batch that is refused, or that breaks the server,
 * is halved until the input that is the cause is alone; what the server says about its limit is kept for all further
 * batches.
 */
export class EmbedRun {
  readonly #plan: BatchPlan;
  readonly #options: EmbedRunOptions;
  readonly #embeddings: (Float32Array | undefined)[];
  readonly #failures: EmbeddingFailure[] = [];
  readonly #putOff: PutOff[] = [];
  readonly #telling: ReturnType<typeof pLimit>;
  #doneCount = 0;
  #successCount = 0;
  #uselessCount = 0;
  #breakdownsInARow = 0;
  #useless: AiProviderError | undefined;

  constructor(plan: BatchPlan, totalCount: number, options: EmbedRunOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#embeddings = new Array<Float32Array | undefined>(totalCount).fill(undefined);
    this.#telling = pLimit(options.concurrency);
  }

  /** What requests did is in the result; an abort, a failure of `onBatch` or a bug is thrown. */
  async run(): Promise<EmbedRunResult> {
    const { concurrency } = this.#options;
    // As many again may have been answered, and wait for `onBatch`: a slow one holds the requests up.
    const inHand = pLimit(2 * concurrency);
    const inWindow = slidingWindow(concurrency);
    await Promise.all(
      this.#plan.batches.map((batch) => inHand(() => inWindow((leave) => this.#embed(batch, budgetOf(batch), leave)))),
    );
    // If something was embedded in the end, the inputs are to blame after all.
    const isWorthGoingOn = this.#successCount > 0;
    await Promise.all(
      this.#putOff.map(({ batch, error }) =>
        isWorthGoingOn
          ? inWindow(() => this.#embedHalves(batch, { refusals: Number.POSITIVE_INFINITY }))
          : this.#fail(batch, error),
      ),
    );
    this.#failures.sort((a, b) => a.position - b.position);
    const failures = this.#successCount > 0 ? this.#failures.map(blamedOnInput) : this.#failures;
    return { embeddings: this.#embeddings, failures };
  }

  /** @returns whether every input got a vector. */
  async #embed(batch: Batch, budget: Budget, leaveWindow = () => {}, maxRetries?: number): Promise<boolean> {
    const limit = this.#options.inputLimit();
    if (batch.inputs.length > limit) return this.#embedSlices(batch, limit, budget);
    let outcome: BatchOutcome;
    try {
      if (this.#useless !== undefined) throw this.#useless;
      const onAnswered = () => {
        // An endpoint whose answers are all of no use is not sent more than a window of them.
        if (this.#successCount > 0) leaveWindow();
      };
      outcome = await this.#options.embedBatch(batch, onAnswered, maxRetries);
    } catch (error) {
      if (!isAiProviderError(error)) throw error;
      return this.#handle(batch, error, budget);
    }
    return this.#take(batch, outcome);
  }

  async #take(batch: Batch, outcome: BatchOutcome): Promise<boolean> {
    const embedded = this.#settle(batch.inputs, (index) => outcome[index] as Float32Array | AiProviderError);
    if (embedded.length === 0) {
      this.#noteUseless(outcome[0] as AiProviderError);
      return false;
    }
    this.#successCount++;
    this.#breakdownsInARow = 0;
    const { onBatch } = this.#options;
    if (onBatch !== undefined) {
      const embeddings = embedded.map((position) => this.#embeddings[position] as Float32Array);
      // Taken now: several may wait for their turn.
      const doneCount = this.#doneCount;
      await this.#telling(() =>
        onBatch({ positions: embedded, embeddings, doneCount, totalCount: this.#embeddings.length }),
      );
    }
    return outcome.every((each) => !isAiProviderError(each));
  }

  /** Cuts up what failed, if that may help. */
  async #handle(batch: Batch, error: AiProviderError, budget: Budget): Promise<boolean> {
    this.#noteUseless(error);
    budget.refusals--;
    const isBroken = isBreakdown(error);
    if (batch.inputs.length === 1 || (!isBroken && !mayBlameInput(error))) return this.#fail(batch, error);
    const limit = limitInWords(failureBehind(error)?.failure.message ?? '', batch.inputs.length);
    if (limit !== undefined) {
      this.#options.learnInputLimit(limit);
      return this.#embedSlices(batch, limit, budget);
    }
    if (isBroken) return this.#isolate(batch, error, budget);
    // A request that no input would make acceptable must not be cut up to the last one.
    if (budget.refusals <= 0 && this.#successCount === 0) {
      this.#putOff.push({ batch, error });
      return false;
    }
    return this.#embedHalves(batch, budget);
  }

  /** The server breaks on this batch. Is it down, or is it a text? */
  async #isolate(batch: Batch, error: AiProviderError, budget: Budget): Promise<boolean> {
    this.#breakdownsInARow++;
    const isDown = this.#breakdownsInARow > budgetOf(batch).refusals;
    if (isDown || (this.#successCount === 0 && !(await this.#hasOneThatWorks(batch)))) {
      this.#options.stop(error);
      return this.#fail(batch, error);
    }
    return this.#embedHalves(batch, budget, true);
  }

  /** Asks for one text alone, at most two times. What comes is not kept: the halves bring it again. */
  async #hasOneThatWorks({ inputs }: Batch): Promise<boolean> {
    for (const input of new Set([inputs[0], inputs.at(-1)])) {
      try {
        await this.#options.embedBatch({ inputs: [input as string], tokenCount: 1 }, () => {}, 0);
        return true;
      } catch (error) {
        if (!isAiProviderError(error)) throw error;
        if (!isBreakdown(error) && !mayBlameInput(error)) return false;
      }
    }
    return false;
  }

  async #embedHalves(batch: Batch, budget: Budget, isBroken = false): Promise<boolean> {
    this.#options.addRounds(2);
    const halves = slicesOf(batch, Math.ceil(batch.inputs.length / 2));
    let areAllGood = true;
    for (const half of halves) {
      const maxRetries = isBroken ? (half.inputs.length === 1 ? 1 : 0) : undefined;
      const isGood = await this.#embed(half, budget, undefined, maxRetries);
      areAllGood &&= isGood;
    }
    // Too many at once was all that was wrong.
    if (areAllGood && halves.length === 2) this.#options.learnInputLimit((halves[0] as Batch).inputs.length);
    return areAllGood;
  }

  async #embedSlices(batch: Batch, length: number, budget: Budget): Promise<boolean> {
    const slices = slicesOf(batch, length);
    this.#options.addRounds(slices.length - 1);
    let areAllGood = true;
    for (const slice of slices) {
      const isGood = await this.#embed(slice, budget);
      areAllGood &&= isGood;
    }
    return areAllGood;
  }

  #fail(batch: Batch, error: AiProviderError): boolean {
    this.#settle(batch.inputs, () => error);
    return false;
  }

  /** @returns the positions that got a vector. */
  #settle(inputs: readonly string[], outcomeOf: (index: number) => Float32Array | AiProviderError): number[] {
    const embedded: number[] = [];
    inputs.forEach((input, index) => {
      const outcome = outcomeOf(index);
      const positions = this.#plan.positions.get(input) ?? [];
      this.#doneCount += positions.length;
      if (isAiProviderError(outcome)) {
        for (const position of positions) this.#failures.push({ position, error: outcome });
        return;
      }
      // A copy for each further one: whoever changes a vector in place must not change another.
      for (const position of positions) {
        this.#embeddings[position] = position === positions[0] ? outcome : outcome.slice();
        embedded.push(position);
      }
    });
    return embedded;
  }

  #noteUseless(error: AiProviderError): void {
    const isUseless = error.code === 'invalid_response' && ++this.#uselessCount >= mostUselessAnswers;
    if (isUseless && this.#successCount === 0) this.#useless = error;
  }
}

/** A smaller part of the batch may succeed. */
function mayBlameInput(error: AiProviderError): boolean {
  return error.code === 'input_refused' || failureBehind(error)?.kind.blamesInput !== undefined;
}

/**
 * The server itself fails on the request. Other statuses of the kind (502, 503, …) are outages, which no text causes.
 */
function isBreakdown(error: AiProviderError): boolean {
  return error.code === 'unavailable' && (error as ProviderError).status === 500;
}

/** Others of the call got their vectors: so it is this text that the server refuses, or fails on. */
function blamedOnInput({ position, error }: EmbeddingFailure): EmbeddingFailure {
  const isUnexplained = failureBehind(error)?.kind.blamesInput === 'perhaps';
  if (!isUnexplained && !isBreakdown(error)) return { position, error };
  const { provider, status, requestId, attempts, serverWords } = error as ProviderError;
  const facts = { provider, status, requestId, attempts, serverWords };
  return { position, error: new ProviderError(error.message, { ...facts, code: 'input_refused', cause: error }) };
}

/** Runs at most `size` pieces of work at once; one that has left early, or has ended, no longer counts. */
function slidingWindow(size: number) {
  const limit = pLimit(size);
  return (work: (leave: () => void) => Promise<unknown>): Promise<unknown> =>
    new Promise((resolve, reject) => {
      void limit(() => new Promise<void>((leave) => work(leave).finally(leave).then(resolve, reject)));
    });
}

function slicesOf({ inputs, tokenCount }: Batch, length: number): Batch[] {
  const slices: Batch[] = [];
  for (let start = 0; start < inputs.length; start += length) {
    const slice = inputs.slice(start, start + length);
    slices.push({ inputs: slice, tokenCount: Math.ceil((tokenCount * slice.length) / inputs.length) });
  }
  return slices;
}

/** While nothing succeeds: enough to get from the whole batch to a single input, and past a few bad neighbours. */
function budgetOf({ inputs }: Batch): Budget {
  return { refusals: 8 + 2 * Math.ceil(Math.log2(inputs.length)) };
}
