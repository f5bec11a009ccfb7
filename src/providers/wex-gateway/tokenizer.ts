import { memoizeAsync } from '../../internal/memoize-async.js';

/** Counts the tokens of a text, and cuts texts by them. */
export interface Tokenizer {
  count(text: string): number;
  /** The longest beginning of the text that has at most `limit` tokens. */
  truncate(text: string, limit: number): string;
}

/**
 * The most tokens that a text can have: byte-level BPE (OpenAI, Llama 3, Qwen) and byte-fallback tokenizers (SentencePiece) never make more tokens than
 * there are UTF-8 bytes, WordPiece no more than characters; all add at most two of their own. About 4 times too high for English, 2 to 3
 * times for Chinese, Japanese and Korean, and never too low.
 */
export const byteBound: Tokenizer = {
  count: (text) => Buffer.byteLength(text) + 2,
  truncate: (text, limit) =>
    withoutTornCharacter(
      Buffer.from(text)
        .subarray(0, Math.max(0, limit - 2))
        .toString(),
    ),
};

/** OpenAI's embedding models, under whatever prefix a gateway gives them, share the encoding cl100k_base. */
export function isOpenAiEmbeddingModel(model: string): boolean {
  return /text-embedding-(3|ada)/i.test(model);
}

/** Loads the tokenizer of OpenAI's embedding models (76 ms, 42 MB of memory); undefined where the optional package `gpt-tokenizer` is not installed. */
export const loadOpenAiTokenizer = memoizeAsync(async (): Promise<Tokenizer | undefined> => {
  const encoding = await import('gpt-tokenizer/encoding/cl100k_base').catch(() => undefined);
  if (encoding === undefined) return undefined;
  // Text is text: what looks like a special token is not one.
  const options = { disallowedSpecial: new Set<string>() };
  return {
    count(text) {
      let total = 0;
      for (const part of cutLongRuns(text)) total += encoding.countTokens(part, options);
      return total;
    },
    truncate(text, limit) {
      let kept = '';
      let left = limit;
      for (const part of cutLongRuns(text)) {
        const tokens = encoding.encode(part, options);
        if (tokens.length > left) return kept + withoutTornCharacter(encoding.decode(tokens.slice(0, left)));
        kept += part;
        left -= tokens.length;
      }
      return kept;
    },
  };
});

/** A cut by bytes or tokens may end inside a character, which decodes to U+FFFD. */
function withoutTornCharacter(text: string): string {
  return text.replace(/\uFFFD+$/, '');
}

/** Merging takes a time that grows with the square of a run without a break: 13 s for 65,536 Chinese characters. */
const longestRun = 256;

/** Cuts longer runs in pieces; each cut costs about one token more. */
function* cutLongRuns(text: string): Generator<string> {
  let start = 0;
  if (text.length > longestRun) {
    for (const { 0: run, index } of text.matchAll(/\p{L}+|\s+|[^\s\p{L}\p{N}]+/gu)) {
      for (let cut = longestRun; cut < run.length; cut += longestRun) {
        yield text.slice(start, index + cut);
        start = index + cut;
      }
    }
  }
  yield text.slice(start);
}
