/** As many answers in a row, all of one other length, and that length is believed. */
const answersToBelieve = 2;

/**
 * The length of each model's vectors. The first answer decides; but it may have come from another model (a gateway's
 * fallback), so a length that keeps coming takes its place. Until then vectors of it are refused, and never mixed in.
 */
export class KnownDimensions {
  readonly #byModel = new Map<string, { length: number; other: number | undefined; count: number }>();

  of(model: string): number | undefined {
    return this.#byModel.get(model)?.length;
  }

  /** @param lengths - The different lengths of one answer. */
  note(model: string, lengths: readonly number[]): void {
    const [length] = lengths;
    if (length === undefined) return;
    const known = this.#byModel.get(model);
    if (known === undefined) {
      if (lengths.length === 1) this.#byModel.set(model, { length, other: undefined, count: 0 });
      return;
    }
    const isOther = lengths.length === 1 && length !== known.length;
    known.count = isOther ? (known.other === length ? known.count + 1 : 1) : 0;
    known.other = isOther ? length : undefined;
    if (known.count >= answersToBelieve) this.#byModel.set(model, { length, other: undefined, count: 0 });
  }
}
