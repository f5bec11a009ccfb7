import { punctuation } from '#src/providers/sentence-transformers/inference/unicode-of-rust.js';

/** Which characters Rust takes for punctuation was found by trying all of them. */
const rustPunctuation = new RegExp(`^${punctuation}$`, 'v');

/**
 * BERT's tokenisation, written down from its definition (BasicTokenizer, then WordPiece) and by code points throughout,
 * as an oracle that shares no code with the tokenizer under test. Slow on purpose: one character at a time.
 */
export class BertReferenceTokenizer {
  readonly #vocabulary: ReadonlyMap<string, number>;

  constructor(vocabulary: Readonly<Record<string, number>>) {
    this.#vocabulary = new Map(Object.entries(vocabulary));
  }

  encode(text: string, maxTokens: number): number[] {
    const ids = splitSpecialTokens(text).flatMap((part) =>
      specialTokens.includes(part) ? [this.#id(part)] : basicTokens(part).flatMap((word) => this.#wordPieces(word)),
    );
    return [this.#id('[CLS]'), ...ids.slice(0, maxTokens - 2), this.#id('[SEP]')];
  }

  #id(token: string): number {
    const id = this.#vocabulary.get(token);
    if (id === undefined) throw new Error(`the vocabulary lacks ${token}`);
    return id;
  }

  #wordPieces(word: string): number[] {
    const characters = [...word];
    if (characters.length > 100) return [this.#id('[UNK]')];
    const ids: number[] = [];
    for (let start = 0; start < characters.length; ) {
      let end = characters.length;
      const piece = (): string => (start > 0 ? '##' : '') + characters.slice(start, end).join('');
      while (end > start && !this.#vocabulary.has(piece())) end--;
      if (end === start) return [this.#id('[UNK]')];
      ids.push(this.#id(piece()));
      start = end;
    }
    return ids;
  }
}

const specialTokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];

function splitSpecialTokens(text: string): string[] {
  return text.split(/(\[PAD\]|\[UNK\]|\[CLS\]|\[SEP\]|\[MASK\])/).filter((part) => part !== '');
}

function basicTokens(text: string): string[] {
  const words: string[] = [];
  let word = '';
  const endWord = (): void => {
    if (word !== '') words.push(word);
    word = '';
  };
  for (const character of normalized(text)) {
    if (character === ' ') endWord();
    else if (isPunctuation(character)) {
      endWord();
      words.push(character);
    } else word += character;
  }
  endWord();
  return words;
}

/** Clean, put spaces around ideographs, strip accents, lower: each character by itself, in this order. */
function normalized(text: string): string {
  let cleaned = '';
  for (const character of text) {
    const isKept = /[\t\n\r]/.test(character) || !/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\0\ufffd]/u.test(character);
    if (!isKept) continue;
    if (/\s/.test(character)) cleaned += ' ';
    else cleaned += isIdeograph(character.codePointAt(0)!) ? ` ${character} ` : character;
  }
  let result = '';
  for (const character of cleaned.normalize('NFD')) {
    if (!/\p{Mn}/u.test(character)) result += character.toLowerCase();
  }
  return result;
}

function isIdeograph(code: number): boolean {
  const ranges = [
    [0x4e00, 0x9fff],
    [0x3400, 0x4dbf],
    [0x20000, 0x2a6df],
    [0x2a700, 0x2b73f],
    [0x2b740, 0x2b81f],
    [0x2b920, 0x2ceaf],
    [0xf900, 0xfaff],
    [0x2f800, 0x2fa1f],
  ] as const;
  return ranges.some(([first, last]) => code >= first && code <= last);
}

function isPunctuation(character: string): boolean {
  const code = character.codePointAt(0)!;
  const isAsciiSymbol =
    (code >= 33 && code <= 47) ||
    (code >= 58 && code <= 64) ||
    (code >= 91 && code <= 96) ||
    (code >= 123 && code <= 126);
  return isAsciiSymbol || rustPunctuation.test(character);
}
