/** The time that a call may take. It stands still while it is held. */
export class CallClock {
  readonly #onEnd: () => void;
  #leftMs: number;
  #startedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #holders = 0;

  constructor(ms: number, onEnd: () => void) {
    this.#leftMs = ms;
    this.#onEnd = onEnd;
    this.#start();
  }

  /** The milliseconds that are left. */
  get leftMs(): number {
    return this.#holders > 0 ? this.#leftMs : this.#leftMs - (performance.now() - this.#startedAt);
  }

  /** Each must be followed by a {@link release}; it goes on after the last one. */
  hold(): void {
    if (this.#holders === 0) {
      this.#leftMs = this.leftMs;
      clearTimeout(this.#timer);
    }
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0 && this.#leftMs > Number.NEGATIVE_INFINITY) this.#start();
  }

  /** For good. */
  stop(): void {
    this.#leftMs = Number.NEGATIVE_INFINITY;
    clearTimeout(this.#timer);
  }

  #start(): void {
    this.#startedAt = performance.now();
    this.#timer = setTimeout(this.#onEnd, Math.max(0, this.#leftMs));
  }
}
