import Big from 'big.js';
import { AiProviderError, isAiProviderError } from '../../errors.js';
import { rejectOnAbort } from '../../internal/reject-on-abort.js';
import { withResolvers } from '../../internal/with-resolvers.js';
import type { EmbeddingResult } from '../ports/embedding-provider.js';
import type { CallDescription } from './call.js';
import type { ManagedPartialEmbeddingResult } from './embedding-call.js';

/** More texts than this do not wait for each other. */
const mostMembers = 100;

interface PaidResult extends EmbeddingResult {
  readonly cost: string | null;
}

interface Member<Result> {
  readonly text: string;
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

interface Group<Result> {
  readonly members: Member<Result>[];
  readonly controller: AbortController;
  /** Members that still wait. */
  waiting: number;
  send: () => void;
}

type Generate<Options, Result> = (texts: readonly string[], options: Options) => Promise<Result>;

/**
 * Makes one request of single-text calls that come within a few milliseconds, such as those of workers that take one
 * record at a time. Each call keeps its own abort, its own error and its share of the cost; only calls with equal
 * options, tags included, are put together.
 */
export class Coalescing<Options extends CallDescription, Result extends PaidResult> {
  readonly #windowMs: number;
  readonly #generate: Generate<Options, Result>;
  readonly #groups = new Map<string, Group<Result>>();

  constructor(windowMs: number, generate: Generate<Options, Result>) {
    this.#windowMs = windowMs;
    this.#generate = generate;
  }

  /** @param signal - Of this call alone. */
  async embed(text: string, options: Options, signal: AbortSignal | undefined): Promise<Result> {
    signal?.throwIfAborted();
    const shared: Options = { ...options, signal: undefined, timeoutMs: undefined };
    const key = JSON.stringify(Object.entries(shared).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    const group = this.#groups.get(key) ?? this.#open(key, shared);
    const { promise, resolve, reject } = withResolvers<Result>();
    group.members.push({ text, resolve, reject });
    group.waiting++;
    if (group.members.length >= mostMembers) group.send();
    try {
      return await rejectOnAbort(promise, signal);
    } finally {
      group.waiting--;
      // Nobody is left who would take the answer.
      if (group.waiting === 0) {
        if (this.#groups.get(key) === group) this.#groups.delete(key);
        group.controller.abort(signal?.reason);
      }
    }
  }

  #open(key: string, options: Options): Group<Result> {
    const send = () => {
      clearTimeout(timer);
      if (this.#groups.get(key) === group) this.#groups.delete(key);
      void this.#send(group, options);
    };
    const timer = setTimeout(send, this.#windowMs);
    const group: Group<Result> = { members: [], controller: new AbortController(), waiting: 0, send };
    this.#groups.set(key, group);
    return group;
  }

  async #send({ members, controller, waiting }: Group<Result>, options: Options): Promise<void> {
    if (waiting === 0) return;
    const texts = members.map(({ text }) => text);
    try {
      const result = await this.#generate(texts, { ...options, signal: controller.signal });
      settle(members, result.embeddings, result, result.cost, []);
    } catch (error) {
      const isPartial = isAiProviderError(error, 'embedding_partially_failed');
      if (!isPartial) {
        for (const { reject } of members) reject(error);
        return;
      }
      const part = error.partialResult as ManagedPartialEmbeddingResult & Result;
      const failures = members.map((_, at) => error.failures.find(({ position }) => position === at)?.error ?? error);
      settle(members, part.embeddings, part, part.cost, failures);
    }
  }
}

/** Gives each member its vector and its share, or its error. */
function settle<Result extends PaidResult>(
  members: readonly Member<Result>[],
  embeddings: readonly (Float32Array | undefined)[],
  result: Result,
  cost: string | null,
  failures: readonly AiProviderError[],
): void {
  const served = members.map((_, at) => at).filter((at) => embeddings[at] !== undefined);
  const weights = served.map((at) => members[at]!.text.length);
  const costs = cost === null ? served.map(() => null) : shareOut(cost, weights);
  const tokens = result.usage.inputTokens;
  const counts = tokens === null ? served.map(() => null) : shareOut(String(tokens), weights, 0).map(Number);
  served.forEach((at, place) => {
    members[at]!.resolve({
      ...result,
      embeddings: [embeddings[at]!],
      usage: { inputCount: 1, inputTokens: counts[place]! },
      cost: costs[place]!,
    });
  });
  members.forEach(({ reject }, at) => {
    if (embeddings[at] === undefined) reject(failures[at] ?? unanswered());
  });
}

/**
 * Shares an amount out by weight. The shares add up to it exactly.
 *
 * @param decimals - Of each share but the last, which gets what is left.
 */
export function shareOut(amount: string, weights: readonly number[], decimals = 18): string[] {
  const total = new Big(amount);
  const sum = weights.reduce((left, weight) => left + weight, 0);
  let left = total;
  return weights.map((weight, at) => {
    if (at === weights.length - 1) return left.toFixed();
    const share = sum === 0 ? new Big(0) : total.times(weight).div(sum).round(decimals, Big.roundDown);
    left = left.minus(share);
    return share.toFixed();
  });
}

function unanswered(): AiProviderError {
  return new AiProviderError('The text got no vector and no error.', { code: 'invalid_response' });
}
