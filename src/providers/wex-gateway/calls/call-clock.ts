/** The time that a call may take. It does not run while it is held. */
export class CallClock {
  readonly #onEnd: () => void;
  #leftMs: number;
  #startedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #holders = 0;
  #isStopped = false;

  constructor(ms: number, onEnd: () => void) {
    this.#leftMs = ms;
    this.#onEnd = onEnd;
    this.#start();
  }

  /** The milliseconds that are left. */
  get leftMs(): number {
    return this.#holders > 0 ? this.#leftMs : this.#leftMs - (performance.now() - this.#startedAt);
  }

  /** Each must be followed by a {@link release}; the clock runs again after the last one. */
  hold(): void {
    if (this.#holders === 0) {
      this.#leftMs = this.leftMs;
      clearTimeout(this.#timer);
    }
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0 && !this.#isStopped) this.#start();
  }

  /** Leaves the call at least this long. */
  leaveAtLeast(ms: number): void {
    this.add(ms - this.leftMs);
  }

  /** Gives the call more time. */
  add(ms: number): void {
    if (this.#isStopped || ms <= 0) return;
    this.#leftMs = this.leftMs + ms;
    if (this.#holders > 0) return;
    clearTimeout(this.#timer);
    this.#start();
  }

  /** For good. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #start(): void {
    this.#startedAt = performance.now();
    this.#timer = setTimeout(this.#onEnd, Math.max(0, this.#leftMs));
  }
}
