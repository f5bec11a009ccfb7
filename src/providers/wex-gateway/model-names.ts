/** Families of embedding models whose names do not say `embed`. */
const embeddingFamilies =
  'bge|e5|gte|minilm|mpnet|distilroberta|gtr|instructor|stella|voyage|labse|m3e|jina|mxbai|uae|text2vec|simcse';
const textFamilies =
  'chat|chatgpt|claude|codestral|command|deepseek|gemini|gemma|glm|gpt|grok|instruct|kimi|llama\\d*|magistral|mi[sx]tral|nova|phi|qwen\\d*|qwq|turbo|o[1-9]';
const inName = (families: string) => new RegExp(`(^|[-_/:.@])(${families})(?=[-_.:@\\d]|$)`, 'i');
const isEmbeddingFamily = inName(embeddingFamilies);
const isTextFamily = inName(textFamilies);

/**
 * Whether a model's name is that of an embedding model: it contains `embed`, or a part of it is the name of a known
 * family.
 *
 * @example
 * isEmbeddingModelName('azure-text-embedding-3-small') // true
 * isEmbeddingModelName('BAAI/bge-m3')                  // true
 * isEmbeddingModelName('azure-gpt-4o-mini')            // false
 */
export function isEmbeddingModelName(model: string): boolean {
  return /embed/i.test(model) || isEmbeddingFamily.test(model);
}

/** Whether a model's name is that of a model for text. A deployment may have a name that says neither. */
export function isTextModelName(model: string): boolean {
  return !isEmbeddingModelName(model) && isTextFamily.test(model);
}

/** OpenAI's reasoning models, under whatever prefix a gateway gives them; they refuse `max_tokens`. */
export function isOpenAiReasoningModel(model: string): boolean {
  return /(^|[/.:]|\b(azure|openai)[-_])(o[1-9]|gpt-?[5-9])(?![a-z0-9]*b\b)/i.test(model);
}

/**
 * A model's name without what servers add to it or leave out: the provider before it, the date and the version after
 * it. Equal for names that are surely of one model; not for all that are.
 */
export function plainModelName(model: string): string {
  return model
    .toLowerCase()
    .replace(/^.*\//, '')
    .replace(/^(azure|openai|bedrock|vertex|hosted)[-_.:]/, '')
    .replace(/:latest$/, '')
    .replace(/[-@]\d{4}-?\d{2}-?\d{2}$/, '')
    .replace(/-v\d+(:\d+)?$/, '');
}
