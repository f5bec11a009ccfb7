/** A tokenised text that waits for its run. */
export interface QueuedText {
  readonly tokenIds: Int32Array<ArrayBuffer>;
  /** How many tokens at the start are left out of the pooling. */
  readonly skipped: number;
  /** The most texts that may share a run with this one. */
  readonly maxTextsPerRun: number;
}

/**
 * Texts of all callers, from which runs are taken: the text that has waited longest goes first, together with those nearest to it in
 * length. So nobody starves, and hardly anything is padded: a run costs its number of texts times its longest text.
 */
export class BatchQueue<Text extends QueuedText> {
  /** Ascending by length. */
  readonly #byLength: Text[] = [];
  /** In the order of arrival; taken texts stay until they come to the front. */
  readonly #byArrival: Text[] = [];
  readonly #waiting = new Set<Text>();
  #tokenCount = 0;

  get size(): number {
    return this.#waiting.size;
  }

  get tokenCount(): number {
    return this.#tokenCount;
  }

  add(text: Text): void {
    this.#byLength.splice(this.#indexOfLength(text.tokenIds.length + 1), 0, text);
    this.#byArrival.push(text);
    this.#waiting.add(text);
    this.#tokenCount += text.tokenIds.length;
  }

  /** Takes the texts of the next run: at least one, at most `maxPaddedTokens` with the padding counted. */
  takeBatch(maxPaddedTokens: number): Text[] {
    const oldest = this.#takeOldest();
    if (oldest === undefined) return [];
    const start = this.#byLength.indexOf(oldest, this.#indexOfLength(oldest.tokenIds.length));
    let [low, high] = [start, start + 1];
    let longest = oldest.tokenIds.length;
    let limit = oldest.maxTextsPerRun;
    for (;;) {
      const next = this.#nearest(low, high, oldest.tokenIds.length);
      if (next === undefined) break;
      const candidate = this.#byLength[next]!;
      const longestWith = Math.max(longest, candidate.tokenIds.length);
      const count = high - low + 1;
      if (longestWith * count > maxPaddedTokens || count > Math.min(limit, candidate.maxTextsPerRun)) break;
      longest = longestWith;
      limit = Math.min(limit, candidate.maxTextsPerRun);
      if (next < low) low = next;
      else high = next + 1;
    }
    const batch = this.#byLength.splice(low, high - low);
    for (const text of batch) this.#forget(text);
    return batch;
  }

  /** Drops the texts that `isUnwanted` tells. */
  remove(isUnwanted: (text: Text) => boolean): void {
    const kept = this.#byLength.filter((text) => !isUnwanted(text));
    for (const text of this.#byLength) if (isUnwanted(text)) this.#forget(text);
    this.#byLength.splice(0, this.#byLength.length, ...kept);
  }

  #forget(text: Text): void {
    this.#waiting.delete(text);
    this.#tokenCount -= text.tokenIds.length;
  }

  #takeOldest(): Text | undefined {
    while (this.#byArrival.length > 0 && !this.#waiting.has(this.#byArrival[0]!)) this.#byArrival.shift();
    return this.#byArrival[0];
  }

  /** The index beside `low..high` whose text is nearer to `length`. */
  #nearest(low: number, high: number, length: number): number | undefined {
    const below = this.#byLength[low - 1];
    const above = this.#byLength[high];
    if (above === undefined) return below === undefined ? undefined : low - 1;
    if (below === undefined) return high;
    return length - below.tokenIds.length <= above.tokenIds.length - length ? low - 1 : high;
  }

  /** The index of the first text with at least `length` tokens. */
  #indexOfLength(length: number): number {
    let [low, high] = [0, this.#byLength.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#byLength[middle]!.tokenIds.length < length) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
