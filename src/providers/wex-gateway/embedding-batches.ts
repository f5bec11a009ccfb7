import { InvalidInputError, MissingDependencyError } from '../../errors.js';
import { byteBound, isOpenAiEmbeddingModel, loadOpenAiTokenizer, type Tokenizer } from './tokenizer.js';

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
  /** Where each different text stands in the list, in order of its first appearance. */
  readonly positions: ReadonlyMap<string, readonly number[]>;
  readonly batches: readonly Batch[];
}

/** OpenAI's limit for an input of an embeddings request (its API reference, "Create embeddings"). */
const openAiInputTokens = 8192;

/**
 * Which texts go into which request; identical texts are sent once. A tokenizer is only loaded where the bound on the number of tokens, which costs next
 * to nothing, leaves open whether something is too long.
 *
 * @throws `InvalidInputError` with the position of a text that is too long, unless it is to be truncated.
 */
export async function planBatches(
  texts: readonly string[],
  model: string,
  limits: BatchLimits,
  truncate: boolean,
): Promise<BatchPlan> {
  const isOpenAi = isOpenAiEmbeddingModel(model);
  const loadTokenizer = async () => (isOpenAi ? loadOpenAiTokenizer() : byteBound);
  const inputLimit = limits.maxInputTokens ?? (isOpenAi ? openAiInputTokens : Number.POSITIVE_INFINITY);
  const isShort = texts.every((text) => byteBound.count(text) <= inputLimit);
  const fitting = isShort ? texts : fitTexts(texts, inputLimit, await loadTokenizer(), truncate);
  const positions = positionsByText(fitting);
  const inputs = [...positions.keys()];
  const packed = packBatches(inputs, byteBound, limits);
  const isAsFewAsPossible = packed.length === Math.ceil(inputs.length / limits.batchSize);
  const tokenizer = isAsFewAsPossible ? undefined : await loadTokenizer();
  return { positions, batches: tokenizer ? packBatches(inputs, tokenizer, limits) : packed };
}

function fitTexts(
  texts: readonly string[],
  limit: number,
  tokenizer: Tokenizer | undefined,
  truncate: boolean,
): readonly string[] {
  if (tokenizer === undefined) {
    // The bound is no reason to refuse or shorten a text that the server may well take whole.
    if (!truncate) return texts;
    throw new MissingDependencyError('gpt-tokenizer', "Truncating texts for OpenAI's models", undefined);
  }
  return texts.map((text, position) => {
    if (byteBound.count(text) <= limit) return text;
    const tokenCount = tokenizer.count(text);
    if (tokenCount <= limit) return text;
    if (truncate) return tokenizer.truncate(text, limit);
    throw new InvalidInputError(
      `Expected \`texts[${position}]\` to have at most ${limit} tokens, got about ${tokenCount}. Split it, or set \`truncate\`.`,
      { position },
    );
  });
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
function packBatches(inputs: readonly string[], tokenizer: Tokenizer, limits: BatchLimits): Batch[] {
  const batches: { inputs: string[]; tokenCount: number }[] = [];
  let current: { inputs: string[]; tokenCount: number } | undefined;
  for (const input of inputs) {
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
