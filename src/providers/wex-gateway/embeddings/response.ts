import { type ReportedUsage, readUsage, tokenCount } from '../calls/usage.js';
import type { LongString, ParsedBody } from './body.js';
import { vectorFromBase64, vectorFromNumbers, type WireVector } from './wire-vector.js';

/** One answer to `POST /embeddings`, read with suspicion: servers that are nearly compatible are the rule. */
export interface EmbeddingResponse {
  /**
   * By position in the request: the vector, or in one phrase what is wrong with it. One phrase alone: what makes all
   * of it unusable.
   */
  readonly vectors: readonly WireVector[] | string;
  readonly usage: ReportedUsage;
  /** The model that the server names. */
  readonly model: unknown;
  /** What the server sent, whatever it was asked for. */
  readonly encoding: 'base64' | 'float';
}

/** Reads a response to a request of `inputCount` inputs. Vectors are placed by `index`, not by arrival. */
export function readEmbeddingResponse({ value, longStrings }: ParsedBody, inputCount: number): EmbeddingResponse {
  const { data, usage, model } = (value ?? {}) as {
    data?: unknown;
    usage?: { total_tokens?: unknown } | null;
    model?: unknown;
  };
  // Also of an unusable answer: it was paid for.
  const reported = readUsage(usage);
  return {
    vectors: readVectors(data, longStrings, inputCount),
    usage: {
      ...reported,
      inputTokens: reported.inputTokens ?? (tokenCount(usage?.total_tokens) || null),
      outputTokens: 0,
    },
    model,
    encoding: Array.isArray(data) && Array.isArray(data[0]?.embedding) ? 'float' : 'base64',
  };
}

function readVectors(
  data: unknown,
  longStrings: ParsedBody['longStrings'],
  inputCount: number,
): readonly WireVector[] | string {
  if (!Array.isArray(data)) return 'a body without a list `data`';
  if (data.length !== inputCount) return `${data.length} embeddings for ${inputCount} inputs`;
  const vectors = new Array<WireVector>(inputCount);
  const items = data as ({ index?: unknown; embedding?: unknown } | null)[];
  // Gemini leaves an index of 0 out, others all of them. If what is there says the position, what is not there would
  // have.
  const isInOrder = items.every((item, position) => (item?.index ?? position) === position);
  for (const [position, item] of items.entries()) {
    const index = item?.index ?? (isInOrder ? position : undefined);
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= inputCount) {
      return 'an embedding without a valid `index`';
    }
    if (vectors[index] !== undefined) return 'two embeddings of one `index`';
    vectors[index] = readVector(item?.embedding, longStrings);
  }
  return vectors;
}

function readVector(embedding: unknown, longStrings: ParsedBody['longStrings']): WireVector {
  if (typeof embedding === 'string') return vectorFromBase64(Buffer.from(embedding));
  if (Array.isArray(embedding)) return vectorFromNumbers(embedding);
  const { longString } = (embedding ?? {}) as Partial<LongString>;
  return (longString === undefined ? undefined : longStrings[longString]) ?? 'neither base64 nor numbers';
}
