import type { EmbeddingSpace } from '../../../core/embedding-space.js';

/**
 * The prompts of models that were trained with some and whose files often name none.
 *
 * - e5: https://huggingface.co/intfloat/e5-small-v2 and https://huggingface.co/intfloat/multilingual-e5-small, "Each input text should start
 *   with "query: " or "passage: "".
 * - bge in English, version 1.5: https://huggingface.co/BAAI/bge-small-en-v1.5, "Model List", the instruction for queries; passages have none.
 */
const families: readonly { readonly names: RegExp; readonly prompts: NonNullable<EmbeddingSpace['prompts']> }[] = [
  {
    names: /^(multilingual-)?e5-(small|base|large)(-v2)?$/,
    prompts: { query: 'query: ', document: 'passage: ' },
  },
  {
    names: /^bge-(small|base|large)-en-v1\.5$/,
    prompts: { query: 'Represent this sentence for searching relevant passages: ', document: '' },
  },
];

/** The prompts of the model's family, by its name, whoever's copy it is; null where none is known. */
export function familyPrompts(hubId: string): EmbeddingSpace['prompts'] {
  const name = hubId.slice(hubId.indexOf('/') + 1);
  return families.find(({ names }) => names.test(name))?.prompts ?? null;
}
