/** How many tokens a run may have, by device: from what a small machine does best to what a large one can. */
const candidates = { cpu: [128, 256, 512], cuda: [2048, 8192, 16384] } as const;
const runsEach = 4;
/** A smaller run is preferred unless a larger one is faster by so much: urgent texts wait for it. */
const worthwhile = 1.05;

/**
 * Finds the token budget of a run on this machine from the first runs of real work: each candidate gets a few full runs, then the one
 * with the most tokens a second stays.
 */
export class RunBudget {
  readonly #fixed: number | undefined;
  #candidates: readonly number[] = candidates.cpu;
  #rates: { tokens: number; milliseconds: number; runs: number }[] = [];
  #chosen: number | undefined;

  /** @param fixed - The host's own budget: nothing is measured. */
  constructor(fixed: number | undefined) {
    this.#fixed = fixed;
    this.useDevice('cpu');
  }

  useDevice(device: keyof typeof candidates): void {
    if (this.#rates.length > 0 && this.#candidates === candidates[device]) return;
    this.#candidates = candidates[device];
    this.#rates = this.#candidates.map(() => ({ tokens: 0, milliseconds: 0, runs: 0 }));
    this.#chosen = undefined;
  }

  /** The most tokens of the next run. */
  get maxTokens(): number {
    return this.#fixed ?? this.#chosen ?? this.#candidates[this.#exploring()]!;
  }

  /** The most tokens of a run that others may have to wait for. */
  get leastTokens(): number {
    return this.#fixed ?? this.#candidates[0]!;
  }

  get isSettled(): boolean {
    return this.#fixed !== undefined || this.#chosen !== undefined;
  }

  /** Notes a run that was as full as `maxTokens` allowed. */
  note(maxTokens: number, tokens: number, milliseconds: number): void {
    const rate = this.#rates[this.#candidates.indexOf(maxTokens)];
    if (this.isSettled || rate === undefined) return;
    rate.tokens += tokens;
    rate.milliseconds += milliseconds;
    rate.runs++;
    if (this.#rates.every(({ runs }) => runs >= runsEach)) this.#chosen = this.#best();
  }

  #exploring(): number {
    const index = this.#rates.findIndex(({ runs }) => runs < runsEach);
    return Math.max(index, 0);
  }

  #best(): number {
    const speed = this.#rates.map(({ tokens, milliseconds }) => tokens / milliseconds);
    let best = 0;
    for (let index = 1; index < speed.length; index++) if (speed[index]! > speed[best]! * worthwhile) best = index;
    return this.#candidates[best]!;
  }
}
