/**
 * Whether a model's name is that of an embedding model: it contains `embed`, or a part of it is the name of a known family.
 *
 * @example
 * isEmbeddingModelName('azure-text-embedding-3-small') // true
 * isEmbeddingModelName('BAAI/bge-m3')                  // true
 * isEmbeddingModelName('azure-gpt-4o-mini')            // false
 */
export function isEmbeddingModelName(model: string): boolean {
  return /embed|(^|[-_/])(bge|e5|gte|minilm|mpnet|distilroberta|gtr|instructor|stella|voyage|labse)([-_.]|$)/i.test(
    model,
  );
}
