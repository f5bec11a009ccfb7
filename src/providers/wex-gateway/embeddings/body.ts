import { vectorFromBase64, type WireVector } from './wire-vector.js';

/** JSON whose long strings were taken for vectors in base64. */
export interface ParsedBody {
  /** A long string in it is a {@link LongString}. */
  readonly value: unknown;
  readonly longStrings: readonly WireVector[];
}

/** Stands for `longStrings[longString]`. */
export interface LongString {
  readonly longString: number;
}

const quote = 0x22;
const backslash = 0x5c;
/** Below this, cutting a string out costs more than parsing it. A base64 vector of 48 dimensions is as long. */
const shortestCut = 256;

/**
 * Reads the JSON of an embeddings response as it comes in, and makes vectors of its long strings at once: they are
 * nearly all of the body, which is never put together. The rest goes through `JSON.parse`.
 */
export class EmbeddingBodyReader {
  readonly #longStrings: WireVector[] = [];
  #json = '';
  /** What came of the string that the last chunk ended in, if it ended in one; it is not in `#json` yet. */
  #open: Buffer[] | undefined;
  /** How many backslashes that string ended in so far. */
  #openBackslashes = 0;

  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    /** Up to if the chunk is in `#json`. */
    let taken = 0;
    /** If the string under way began, without its quote. */
    let start = 0;
    for (let end = bytes.indexOf(quote); end !== -1; end = bytes.indexOf(quote, end + 1)) {
      if (this.#open === undefined) {
        start = end + 1;
        this.#open = [];
        this.#openBackslashes = 0;
        continue;
      }
      // A quote after an odd number of backslashes is a part of the string.
      if (this.#backslashesAtEnd(bytes, start, end) % 2 === 1) continue;
      // Short strings are taken together with what is around them, except for the one that the last chunk ended in.
      if (end - start >= shortestCut || this.#open.length > 0) {
        this.#json += bytes.toString('utf8', taken, Math.max(taken, start - 1));
        this.#addString(joined(this.#open, bytes.subarray(start, end)));
        taken = end + 1;
      }
      this.#open = undefined;
    }
    if (this.#open === undefined) {
      this.#json += bytes.toString('utf8', taken);
      return;
    }
    this.#json += bytes.toString('utf8', taken, Math.max(taken, start - 1));
    this.#openBackslashes = this.#backslashesAtEnd(bytes, start, bytes.length);
    // A copy: whoever gave the chunk may use its memory again.
    this.#open.push(Buffer.from(bytes.subarray(start)));
  }

  /** @throws SyntaxError */
  end(): ParsedBody {
    if (this.#open !== undefined) throw new SyntaxError('Unterminated string in JSON');
    return { value: parseLeniently(this.#json), longStrings: this.#longStrings };
  }

  #addString(content: Buffer): void {
    if (content.length < shortestCut || content.includes(backslash)) {
      this.#json += `"${content}"`;
      return;
    }
    this.#json += `{"longString":${this.#longStrings.length}}`;
    this.#longStrings.push(vectorFromBase64(content));
  }

  /** How many backslashes the string under way has before `end`. */
  #backslashesAtEnd(bytes: Buffer, start: number, end: number): number {
    let count = 0;
    while (end - count > start && bytes[end - count - 1] === backslash) count++;
    return end - count === start ? count + this.#openBackslashes : count;
  }
}

function joined(pieces: readonly Buffer[], lastPiece: Buffer): Buffer {
  return pieces.length === 0 ? lastPiece : Buffer.concat([...pieces, lastPiece]);
}

/** Python writes NaN and Infinity into JSON, which has neither; as null they spoil their own vector only. */
function parseLeniently(json: string): unknown {
  const text = json.startsWith('\uFEFF') ? json.slice(1) : json;
  try {
    return JSON.parse(text);
  } catch (error) {
    const withoutNaN = text.replace(/(?<=[[,:]\s*)-?(?:NaN|Infinity)(?=\s*[\],}])/g, 'null');
    if (withoutNaN === text) throw error;
    return JSON.parse(withoutNaN);
  }
}
