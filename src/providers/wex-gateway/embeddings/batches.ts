import { InvalidInputError, MissingDependencyError } from '../../../errors.js';
import { memoizeAsync } from '../../../internal/memoize-async.js';
import { TimeSlice } from '../../../internal/time-slice.js';
import { byteBound, isOpenAiEmbeddingModel, loadOpenAiTokenizer, type Tokenizer } from './token-counter.js';

export interface Batch {
  readonly inputs: readonly string[];
  /** An estimate, rather too high than too low. */
  readonly tokenCount: number;
}

export interface BatchLimits {
  /** Inputs of a request. */
  readonly batchSize: number;
  /** Tokens of a request. */
  readonly maxRequestTokens: number;
  /** Tokens of an input. @default 8192 for OpenAI's models; for others, the server knows best */
  readonly maxInputTokens?: number | undefined;
}

export interface BatchPlan {
  /** If each different text is in the list, in order of its first appearance. */
  readonly positions: ReadonlyMap<string, readonly number[]>;
  readonly batches: readonly Batch[];
}

/** OpenAI's limit for an input of an embeddings request (its API reference, "Create embeddings"). */
const openAiInputTokens = 8192;

/**
 * Which texts go into which request; identical texts are sent once. A tokenizer is only loaded if the bound on the
 * number of tokens, which costs next to nothing, leaves open whether something is too long. Counting the tokens of a
 * large call takes seconds: the event loop gets its turns meanwhile.
 *
 * @throws `InvalidInputError` with the position of a text that is too long, unless it is to be truncated.
 */
export async function planBatches(
  texts: readonly string[],
  model: string,
  limits: BatchLimits,
  truncate: boolean,
  signal?: AbortSignal,
): Promise<BatchPlan> {
  const isOpenAi = isOpenAiEmbeddingModel(model);
  const loadTokenizer = memoizeAsync(async () => {
    const tokenizer = isOpenAi ? await loadOpenAiTokenizer() : byteBound;
    return tokenizer && remembering(tokenizer);
  });
  const inputLimit = limits.maxInputTokens ?? (isOpenAi ? openAiInputTokens : Number.POSITIVE_INFINITY);
  const isShort = texts.every((text) => byteBound.count(text) <= inputLimit);
  const fitting = isShort ? texts : await fitTexts(texts, inputLimit, await loadTokenizer(), truncate, signal);
  const positions = positionsByText(fitting);
  const inputs = [...positions.keys()];
  const packed = await packBatches(inputs, byteBound, limits, signal);
  const isAsFewAsPossible = packed.length === Math.ceil(inputs.length / limits.batchSize);
  const tokenizer = isAsFewAsPossible ? undefined : await loadTokenizer();
  return { positions, batches: tokenizer ? await packBatches(inputs, tokenizer, limits, signal) : packed };
}

async function fitTexts(
  texts: readonly string[],
  limit: number,
  tokenizer: Tokenizer | undefined,
  truncate: boolean,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  if (tokenizer === undefined) {
    // The bound is not a reason to refuse or shorten a text that the server may well take whole.
    if (!truncate) return texts;
    throw new MissingDependencyError('gpt-tokenizer', "Truncating texts for OpenAI's models", undefined);
  }
  const fitting: string[] = [];
  const slice = new TimeSlice();
  for (const [position, text] of texts.entries()) {
    if (slice.isOver()) await slice.next(signal);
    const tokenCount = byteBound.count(text) <= limit ? 0 : tokenizer.count(text, limit);
    if (tokenCount > limit && !truncate) {
      throw new InvalidInputError(
        `Expected \`texts[${position}]\` to have at most ${limit} tokens, got about ${tokenCount}. Split it, or set \`truncate\`.`,
        { position },
      );
    }
    fitting.push(tokenCount > limit ? tokenizer.truncate(text, limit) : text);
  }
  return fitting;
}

/** Counts each text once. */
function remembering(tokenizer: Tokenizer): Tokenizer {
  const counts = new Map<string, number>();
  return {
    ...tokenizer,
    count(text, enough) {
      const count = counts.get(text) ?? tokenizer.count(text, enough);
      counts.set(text, count);
      return count;
    },
  };
}

function positionsByText(texts: readonly string[]): Map<string, number[]> {
  const positions = new Map<string, number[]>();
  texts.forEach((text, position) => {
    const known = positions.get(text);
    if (known) known.push(position);
    else positions.set(text, [position]);
  });
  return positions;
}

/** Fills one batch after the other, in order. */
async function packBatches(
  inputs: readonly string[],
  tokenizer: Tokenizer,
  limits: BatchLimits,
  signal: AbortSignal | undefined,
): Promise<Batch[]> {
  const batches: { inputs: string[]; tokenCount: number }[] = [];
  let current: { inputs: string[]; tokenCount: number } | undefined;
  const slice = new TimeSlice();
  for (const input of inputs) {
    if (slice.isOver()) await slice.next(signal);
    const tokenCount = tokenizer.count(input);
    const isFull =
      current === undefined ||
      current.inputs.length >= limits.batchSize ||
      current.tokenCount + tokenCount > limits.maxRequestTokens;
    if (current === undefined || isFull) {
      current = { inputs: [], tokenCount: 0 };
      batches.push(current);
    }
    current.inputs.push(input);
    current.tokenCount += tokenCount;
  }
  return batches;
}
