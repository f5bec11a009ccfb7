/**
 * The table by which SentencePiece models normalise text (`precompiled_charsmap` of tokenizer.json): a double-array trie over the UTF-8 bytes of what is
 * replaced, and the replacements, each with a zero byte after it.
 *
 * Layout: https://github.com/google/sentencepiece/blob/master/src/normalizer.cc (`DecodePrecompiledCharsMap`), units as in
 * https://github.com/google/sentencepiece/blob/master/third_party/darts_clone/darts.h
 */
export class Charsmap {
  readonly #units: Uint32Array;
  readonly #replacements: Uint8Array;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  /** What becomes of each ASCII character by itself. */
  readonly #ascii: readonly string[];

  /** @throws an Error that says what is wrong with the table. */
  constructor(base64: string) {
    const bytes = Uint8Array.from(Buffer.from(base64, 'base64'));
    const trieBytes = bytes.byteLength < 4 ? 0 : new DataView(bytes.buffer).getUint32(0, true);
    if (trieBytes < 4 || trieBytes % 4 !== 0 || 4 + trieBytes > bytes.byteLength) {
      throw new Error('the precompiled_charsmap of tokenizer.json is damaged');
    }
    this.#units = new Uint32Array(bytes.slice(4, 4 + trieBytes).buffer);
    this.#replacements = bytes.subarray(4 + trieBytes);
    this.#ascii = Array.from({ length: 128 }, (_, code) => this.#replaceCharacter(String.fromCharCode(code)));
  }

  normalize(text: string): string {
    let result = '';
    // Only what may join with a neighbour into one grapheme is segmented, which is slow.
    for (const [part] of text.matchAll(plainOrJoining)) {
      if (plain.test(part))
        for (let index = 0; index < part.length; index++) result += this.#ascii[part.charCodeAt(index)];
      else result += this.#replaceGraphemes(part);
    }
    return result;
  }

  #replaceGraphemes(text: string): string {
    let result = '';
    for (const { segment } of graphemes.segment(text)) result += this.#replaceGrapheme(segment);
    return result;
  }

  /** A short grapheme is replaced as a whole, by what its shortest known start stands for; else each character by itself: so does Rust. */
  #replaceGrapheme(grapheme: string): string {
    const bytes = this.#encoder.encode(grapheme);
    const whole = bytes.length < 6 ? this.#lookUp(bytes) : undefined;
    if (whole !== undefined) return whole;
    let result = '';
    for (const character of grapheme) result += this.#replaceCharacter(character);
    return result;
  }

  #replaceCharacter(character: string): string {
    return this.#lookUp(this.#encoder.encode(character)) ?? character;
  }

  /** @returns the replacement of the shortest start of `key` that has one. */
  #lookUp(key: Uint8Array): string | undefined {
    let position = offsetOf(this.#units[0]!);
    for (const byte of key) {
      if (byte === 0) return undefined;
      position ^= byte;
      const unit = this.#units[position] ?? 0;
      if ((unit & 0x800000ff) >>> 0 !== byte) return undefined;
      position ^= offsetOf(unit);
      const hasValue = ((unit >>> 8) & 1) === 1;
      if (hasValue) return this.#replacementAt((this.#units[position] ?? 0) & 0x7fffffff);
    }
    return undefined;
  }

  #replacementAt(start: number): string {
    const end = this.#replacements.indexOf(0, start);
    return this.#decoder.decode(this.#replacements.subarray(start, end < 0 ? undefined : end));
  }
}

/** Printable ASCII characters but the last one before another, or others with the printable ones next to them. */
const plainOrJoining = /[ -~]+(?![^ -~])|[ -~]?(?:[^ -~]+[ -~]?)+/g;
const plain = /^[ -~]+$/;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}
