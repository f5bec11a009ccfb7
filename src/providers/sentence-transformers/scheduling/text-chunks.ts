export type TextSource = Iterable<string> | AsyncIterable<string>;

/** A chunk has at most so many texts, and ends with the text that brings it over so many characters. */
const maxTexts = 256;
const maxCharacters = 200_000;

/** Reads a source of texts into chunks, without waiting for it. */
export class TextChunks {
  readonly #iterator: Iterator<string> | AsyncIterator<string>;
  readonly #isAsync: boolean;
  /** Called when a text came that was waited for, or kept the reader waiting. */
  readonly #onEvent: () => void;
  #texts: string[] = [];
  #characters = 0;
  #firstPosition = 0;
  #isWaiting = false;
  /** Whether the source lets the event loop turn before it gives the next text. */
  #isPausing = false;
  #isEnded = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(source: TextSource, onEvent: () => void) {
    this.#isAsync = Symbol.asyncIterator in source;
    this.#iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    this.#onEvent = onEvent;
  }

  /** Whether all texts were read and taken. */
  get isAtEnd(): boolean {
    return this.#isEnded && this.#texts.length === 0;
  }

  /**
   * The next chunk, or undefined where the source must be waited for.
   *
   * @param isIdle - Nothing else is to be done: a part of a chunk is taken when the source pauses. A source that gives its texts without
   *   a pause fills its chunks all the same.
   */
  read(isIdle: boolean): { readonly texts: readonly string[]; readonly firstPosition: number } | undefined {
    while (!this.#isFull && !this.#isWaiting && !this.#isEnded) this.#readNext();
    const isDue = this.#isFull || this.#isEnded || (isIdle && this.#isPausing);
    if (!isDue || this.#texts.length === 0) return undefined;
    const chunk = { texts: this.#texts, firstPosition: this.#firstPosition };
    this.#firstPosition += this.#texts.length;
    this.#texts = [];
    this.#characters = 0;
    return chunk;
  }

  /** @throws what the source has thrown, if anything. */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Tells a source that was not read to its end that nobody reads on. */
  leave(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    // In a function of its own: what a source throws here concerns nobody any more.
    void (async () => this.#iterator.return?.())().catch(() => {});
  }

  get #isFull(): boolean {
    return this.#texts.length >= maxTexts || this.#characters >= maxCharacters;
  }

  #readNext(): void {
    try {
      const step = this.#iterator.next();
      if (this.#isAsync) void this.#wait(step as Promise<IteratorResult<string>>);
      else this.#take(step as IteratorResult<string>);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #wait(step: Promise<IteratorResult<string>>): Promise<void> {
    this.#isWaiting = true;
    const turn = setImmediate(() => {
      this.#isPausing = true;
      this.#onEvent();
    });
    try {
      this.#take(await step);
    } catch (error) {
      this.#fail(error);
    }
    clearImmediate(turn);
    this.#isWaiting = false;
    this.#isPausing = false;
    this.#onEvent();
  }

  #take({ done, value }: IteratorResult<string>): void {
    if (done === true) {
      this.#isEnded = true;
      return;
    }
    this.#texts.push(value);
    this.#characters += typeof value === 'string' ? value.length : 0;
  }

  #fail(error: unknown): void {
    this.#isEnded = true;
    this.#failure = { error };
  }
}
