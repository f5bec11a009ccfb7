import type { LongString, ParsedBody } from './embedding-body.js';

/** One answer to `POST /embeddings`, read with suspicion: servers that are nearly compatible are the rule. */
export interface EmbeddingResponse {
  /** By position in the request: the vector, or in one phrase what is wrong with it. One phrase alone: what makes all of it unusable. */
  readonly vectors: readonly (Float32Array | string)[] | string;
  readonly inputTokens: number | null;
  /** What the server sent, whatever it was asked for. */
  readonly encoding: 'base64' | 'float';
}

/** Reads a response to a request of `inputCount` inputs. Vectors are placed by `index`, not by arrival. */
export function readEmbeddingResponse({ value, longStrings }: ParsedBody, inputCount: number): EmbeddingResponse {
  const { data, usage } = (value ?? {}) as {
    data?: unknown;
    usage?: { prompt_tokens?: unknown; total_tokens?: unknown };
  };
  return {
    vectors: readVectors(data, longStrings, inputCount),
    // Also of an unusable answer: it was paid for.
    inputTokens: tokenCount(usage?.prompt_tokens) ?? tokenCount(usage?.total_tokens),
    encoding: Array.isArray(data) && Array.isArray(data[0]?.embedding) ? 'float' : 'base64',
  };
}

function readVectors(
  data: unknown,
  longStrings: readonly Buffer[],
  inputCount: number,
): readonly (Float32Array | string)[] | string {
  if (!Array.isArray(data)) return 'a body without a list `data`';
  if (data.length !== inputCount) return `${data.length} embeddings for ${inputCount} inputs`;
  const vectors = new Array<Float32Array | string>(inputCount);
  for (const item of data as ({ index?: unknown; embedding?: unknown } | null)[]) {
    const index = item?.index;
    if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= inputCount) {
      return 'an embedding without a valid `index`';
    }
    if (vectors[index] !== undefined) return 'two embeddings of one `index`';
    vectors[index] = checkVector(readVector(item?.embedding, longStrings));
  }
  return vectors;
}

function readVector(embedding: unknown, longStrings: readonly Buffer[]): Float32Array | string {
  const text = base64Of(embedding, longStrings) ?? embedding;
  if (typeof text === 'string') return fromBase64(text);
  return Array.isArray(text) ? fromNumbers(text) : 'neither base64 nor numbers';
}

function base64Of(embedding: unknown, longStrings: readonly Buffer[]): string | undefined {
  const { longString } = (embedding ?? {}) as Partial<LongString>;
  return longString === undefined ? undefined : longStrings[longString]?.toString('latin1');
}

/** Decoded straight into the vector: no number[] in between, and no memory shared with other vectors. */
function fromBase64(text: string): Float32Array | string {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const byteLength = Math.floor(((text.length - padding) * 3) / 4);
  if (byteLength % 4 !== 0) return 'base64 of a length that no float32 vector has';
  // Not from the pool, and not filled with zeros first: it is given out only where every byte was written.
  const bytes = Buffer.allocUnsafeSlow(byteLength);
  if (bytes.write(text, 'base64') !== byteLength) return 'not valid base64';
  return new Float32Array(bytes.buffer);
}

function fromNumbers(numbers: readonly unknown[]): Float32Array | string {
  if (!numbers.every((number) => typeof number === 'number')) return 'a list with something else than numbers';
  return new Float32Array(numbers as number[]);
}

function checkVector(vector: Float32Array | string): Float32Array | string {
  if (typeof vector === 'string') return vector;
  if (vector.length === 0) return 'empty';
  let isZero = true;
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i] as number;
    if (!Number.isFinite(value)) return 'not finite';
    if (value !== 0) isZero = false;
  }
  return isZero ? 'all zeros' : vector;
}

export function tokenCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}
