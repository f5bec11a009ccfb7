import type { JsonObject } from '../json.js';
import type { PayloadIndex } from './payload-index.js';

const word = /[\p{Alphabetic}\p{N}]+/gu;
const nonSpace = /[^\p{White_Space}]+/gu;

/** Goes between the elements of a list of texts, so that no phrase reaches over it. It is not a word. */
const elementBorder = ' ';

type TextForm = 'text' | 'text_any' | 'phrase';

/** A condition on texts: whether the texts at a field, all elements together, match. */
export type TextsCheck = (texts: readonly string[]) => boolean;

/** How texts become words: Qdrant's defaults, or the settings of a text index. */
function tokenizerOf(index: PayloadIndex | undefined): (text: string) => string[] {
  const form = index?.tokenizer === 'whitespace' ? nonSpace : word;
  const isLowercase = index?.lowercase !== false;
  const least = typeof index?.min_token_len === 'number' ? index.min_token_len : 0;
  const most = typeof index?.max_token_len === 'number' ? index.max_token_len : Number.POSITIVE_INFINITY;
  const isAnyLength = least <= 1 && most === Number.POSITIVE_INFINITY;
  const hasLength = (token: string): boolean => {
    const length = [...token].length;
    return length >= least && length <= most;
  };
  return (text) => {
    const tokens = text.match(form) ?? [];
    const cased = isLowercase ? tokens.map((token) => token.toLowerCase()) : tokens;
    return isAnyLength ? cased : cased.filter(hasLength);
  };
}

/**
 * `text`, `text_any` and `phrase`, which compare words. Without an index the words are those of one text, and `phrase`
 * compares characters; with a text index those of all elements of a list count together, and phrases are found only if
 * the index has `phrase_matching`. Undefined if the match has none of these forms.
 */
export function parseTextMatch(match: JsonObject, index: PayloadIndex | undefined): TextsCheck | undefined {
  for (const form of ['text', 'text_any', 'phrase'] as const) {
    const query = match[form];
    if (typeof query !== 'string') continue;
    if (index === undefined) {
      const check = compareWords(form, query, undefined);
      return (texts) => texts.some((text) => check([text]));
    }
    if (form === 'phrase' && index.phrase_matching !== true) return () => false;
    return compareWords(form, query, index);
  }
  return undefined;
}

function compareWords(form: TextForm, query: string, index: PayloadIndex | undefined): TextsCheck {
  const tokenize = tokenizerOf(index);
  const wanted = tokenize(query);
  if (wanted.length === 0) return () => false;
  const wordsOf = (texts: readonly string[]): string[] =>
    texts.flatMap((text, at) => (at === 0 ? tokenize(text) : [elementBorder, ...tokenize(text)]));
  if (form === 'phrase') {
    const phrase = new WordSequence(wanted);
    return (texts) => phrase.isIn(wordsOf(texts));
  }
  return (texts) => {
    const words = new Set(wordsOf(texts));
    return form === 'text' ? wanted.every((item) => words.has(item)) : wanted.some((item) => words.has(item));
  };
}

/**
 * Finds a sequence of words in a longer one in linear time (Knuth, Morris and Pratt 1977): comparing at every position
 * takes the product of the lengths if the words repeat.
 */
class WordSequence {
  readonly #words: readonly string[];
  /** For each word, how long a beginning of the sequence ends at the word before it: where to go on if it differs. */
  readonly #fallbacks: Int32Array;

  constructor(words: readonly string[]) {
    this.#words = words;
    this.#fallbacks = new Int32Array(words.length + 1);
    this.#fallbacks[0] = -1;
    for (let at = 0, matched = -1; at < words.length; ) {
      while (matched >= 0 && words[at] !== words[matched]) matched = this.#fallbacks[matched] as number;
      this.#fallbacks[++at] = ++matched;
    }
  }

  isIn(text: readonly string[]): boolean {
    let matched = 0;
    for (const word of text) {
      while (matched >= 0 && word !== this.#words[matched]) matched = this.#fallbacks[matched] as number;
      if (++matched === this.#words.length) return true;
    }
    return false;
  }
}
