import { EmbeddingSpaceMismatchError } from '../errors.js';

/**
 * What makes two vectors comparable. Vectors of two spaces must never be stored together or compared, not even if
 * their dimensions agree: nothing would fail, and every search result would be noise.
 */
export interface EmbeddingSpace {
  /** The model's name, such as `all-MiniLM-L6-v2` or `azure-text-embedding-3-small`. */
  readonly model: string;
  /** What fixes the weights (a commit, a checksum), or null if a provider does not tell, as gateways do not. */
  readonly revision: string | null;
  /** The length of a vector. */
  readonly dimension: number;
  /** How token vectors become one, or null if the provider keeps it to itself. */
  readonly pooling: 'mean' | 'cls' | 'max' | 'last_token' | null;
  /**
   * What is put before documents and queries, or null for nothing. A pair belongs to one space: that is how such models
   * are trained.
   */
  readonly prompts: { readonly query: string; readonly document: string } | null;
  /** Whether vectors have length 1, or null if the provider does not promise it. */
  readonly normalized: boolean | null;
  /** The number format that the model computes in (`fp32`, `int8`, …), or null if the provider does not tell. */
  readonly dtype: string | null;
}

/** A space as known before the first vector: a gateway's dimension is only known from its first response. */
export type DeclaredEmbeddingSpace = Omit<EmbeddingSpace, 'dimension'> & { readonly dimension: number | null };

const unknown = '?';

/**
 * The space as one string, equal for equal spaces; it is what is stored beside a collection.
 *
 * @example
 * embeddingSpaceId(space) // 'all-MiniLM-L6-v2|rev=6638f625a0a6|dim=384|pool=mean|prompts=none|norm=true|dtype=fp32'
 */
export function embeddingSpaceId(space: DeclaredEmbeddingSpace): string {
  return [
    encodeURIComponent(space.model),
    `rev=${space.revision === null ? unknown : encodeURIComponent(space.revision)}`,
    `dim=${space.dimension ?? unknown}`,
    `pool=${space.pooling ?? unknown}`,
    `prompts=${space.prompts === null ? 'none' : encodeURIComponent(JSON.stringify([space.prompts.query, space.prompts.document]))}`,
    `norm=${space.normalized ?? unknown}`,
    `dtype=${space.dtype ?? unknown}`,
  ].join('|');
}

/**
 * Whether a provider that declares `declared` may produce vectors of the space with that id. A dimension that either of
 * them does not know yet is given the benefit of the doubt: the vectors themselves are checked once they are there.
 */
export function mayProduceSpace(declared: DeclaredEmbeddingSpace, spaceId: string): boolean {
  const id = embeddingSpaceId(declared);
  if (id === spaceId) return true;
  const isDimensionOpen = id.includes(openDimension) || spaceId.includes(openDimension);
  return isDimensionOpen && withoutDimension(id) === withoutDimension(spaceId);
}

const openDimension = `|dim=${unknown}|`;

/** The part of a space's id that is known before the first vector. */
export function withoutDimension(spaceId: string): string {
  return spaceId.replace(/\|dim=[^|]*\|/, '|');
}

/**
 * @throws {@link EmbeddingSpaceMismatchError} unless vectors of `received` belong to the space `expected`, which `what`
 *   holds or needs.
 */
export function requireSpace(expected: string, received: DeclaredEmbeddingSpace, what: string): void {
  if (mayProduceSpace(received, expected)) return;
  const id = embeddingSpaceId(received);
  throw new EmbeddingSpaceMismatchError(
    `${what} needs vectors of the embedding space ${expected}, but these are of ${id}. Vectors of two spaces cannot be compared, not even if their ` +
      'dimensions agree. Use the provider and model of the first space, or embed all records again into a new collection.',
    { expected, received: id },
  );
}
