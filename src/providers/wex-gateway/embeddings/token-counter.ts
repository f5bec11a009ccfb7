import { memoizeAsync } from '../../../internal/memoize-async.js';

/** Counts the tokens of a text, and cuts texts by them. */
export interface Tokenizer {
  /** Past `enough` tokens, the rest is estimated from the part before. */
  count(text: string, enough?: number): number;
  /** The longest beginning of the text that has at most `limit` tokens and ends with a whole character. */
  truncate(text: string, limit: number): string;
}

/**
 * The most tokens that a text can have: byte-level BPE (OpenAI, Llama 3, Qwen) and byte-fallback tokenizers
 * (SentencePiece) never make more tokens than there are UTF-8 bytes, WordPiece no more than characters; all add at
 * most two of their own. About 4 times too high for English, 2 to 3 times for Chinese, Japanese and Korean, and never
 * too low.
 */
export const byteBound: Tokenizer = {
  count: (text) => Buffer.byteLength(text) + 2,
  truncate(text, limit) {
    const bytes = Buffer.from(text.slice(0, limit));
    let end = Math.max(0, limit - 2);
    while (end > 0 && isInsideCharacter(bytes[end])) end--;
    return bytes.toString('utf8', 0, end);
  },
};

function isInsideCharacter(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0b1100_0000) === 0b1000_0000;
}

/** OpenAI's embedding models, under whatever prefix a gateway gives them, share the encoding cl100k_base. */
export function isOpenAiEmbeddingModel(model: string): boolean {
  return /text-embedding-(3|ada)/i.test(model);
}

/**
 * Loads the tokenizer of OpenAI's embedding models (76 ms, 42 MB of memory); undefined if the optional package
 * `gpt-tokenizer` is not installed.
 */
export const loadOpenAiTokenizer = memoizeAsync(async (): Promise<Tokenizer | undefined> => {
  const encoding = await loadEncoding();
  if (encoding === undefined) return undefined;
  // Text is text: what looks like a special token is not one.
  const options = { disallowedSpecial: new Set<string>() };
  /**
   * How much of a piece `limit` of its tokens hold. What is left without a torn character may be made of more tokens
   * than before.
   */
  const lengthWithin = (piece: string, tokens: readonly number[], limit: number): number => {
    for (let count = limit; count > 0; count--) {
      const length = lengthWithoutTornCharacter(encoding.decode(tokens.slice(0, count)), piece);
      if (encoding.countTokens(piece.slice(0, length), options) <= limit) return length;
    }
    return 0;
  };
  return {
    count(text, enough = Number.POSITIVE_INFINITY) {
      let total = 0;
      let length = 0;
      for (const piece of piecesOf(text)) {
        total += encoding.countTokens(piece, options);
        length += piece.length;
        if (total > enough) return Math.round((total * text.length) / length);
      }
      return total;
    },
    truncate(text, limit) {
      let length = 0;
      let left = limit;
      for (const piece of piecesOf(text)) {
        const tokens = encoding.encode(piece, options);
        if (tokens.length > left) {
          length += lengthWithin(piece, tokens, left);
          break;
        }
        length += piece.length;
        left -= tokens.length;
      }
      return text.slice(0, wholeCharacters(text, length));
    },
  };
});

/** The last token may be a part of a character, which decodes to U+FFFD. */
function lengthWithoutTornCharacter(decoded: string, original: string): number {
  let { length } = decoded;
  while (length > 0 && decoded[length - 1] === '\uFFFD' && original[length - 1] !== '\uFFFD') length--;
  return length;
}

/** Counting goes piece by piece, so that it can end early. */
const longestPiece = 8192;

/** Merging takes a time that grows with the square of a run without a break: 13 s for 65,536 Chinese characters. */
const longestRun = 256;

/**
 * Cuts long texts before spaces, if the encoding breaks as well, and long runs wherever they are; each cut inside a
 * run costs about one token more.
 */
function* piecesOf(text: string): Generator<string> {
  let start = 0;
  while (text.length - start > longestPiece) {
    const space = text.slice(start, start + longestPiece).lastIndexOf(' ');
    const end = start + (space > 0 ? space : wholeCharacters(text, start + longestPiece) - start);
    yield* cutLongRuns(text.slice(start, end));
    start = end;
  }
  yield* cutLongRuns(text.slice(start));
}

function* cutLongRuns(text: string): Generator<string> {
  let start = 0;
  if (text.length > longestRun) {
    for (const { 0: run, index } of text.matchAll(/\p{L}+|\s+|[^\s\p{L}\p{N}]+/gu)) {
      for (let cut = longestRun; cut < run.length; cut += longestRun) {
        const end = wholeCharacters(text, index + cut);
        yield text.slice(start, end);
        start = end;
      }
    }
  }
  yield text.slice(start);
}

/** `end`, or one less if that is between the two halves of a character. */
function wholeCharacters(text: string, end: number): number {
  const last = text.charCodeAt(end - 1);
  return end < text.length && last >= 0xd800 && last <= 0xdbff ? end - 1 : end;
}

/** Undefined if it is not installed. Inside a `try`, so that bundlers build a host without it. */
async function loadEncoding() {
  try {
    return await import('gpt-tokenizer/encoding/cl100k_base');
  } catch {
    return undefined;
  }
}
