/** Whose scan it is. */
export interface Caller {
  /** Ends its scans; its reason is thrown untouched. */
  readonly signal?: AbortSignal | undefined;
  /** Scans of one key share the time that other keys leave. @default scans without a key are of one key */
  readonly fairnessKey?: string | number | undefined;
}

/** How long a scan runs before others, and the event loop, get a turn. */
const sliceMs = 1;

/** The time that the scans of one key have used. */
interface Share {
  usedMs: number;
  scans: number;
}

/**
 * Shares the thread between scans, slice by slice: next is always one of the key that has used the least time, and of
 * its scans the one that has used the least. So a short search never waits for a long one, and a tenant that starts a
 * thousand scans slows down itself. Between two slices the event loop gets a turn.
 */
export class ScanSchedule {
  readonly #shares = new Map<Caller['fairnessKey'], Share>();
  readonly #waiting: ScanTurns[] = [];
  /** What the last key that got a turn had used: whoever comes later begins there, and not with an arrear of hours. */
  #leastUsedMs = 0;
  #isTurnGiven = false;

  /** Runs a scan, which calls `next` of its turns whenever a slice `isOver`. */
  async run<Result>(caller: Caller, scan: (turns: ScanTurns) => Promise<Result>): Promise<Result> {
    caller.signal?.throwIfAborted();
    const share = this.#join(caller.fairnessKey);
    const turns = new ScanTurns(share, caller.signal, (waiting) => this.#wait(waiting));
    try {
      if (this.#isTurnGiven) await turns.next();
      else this.#giveTurnLater();
      return await scan(turns);
    } finally {
      turns.account();
      if (--share.scans === 0) this.#shares.delete(caller.fairnessKey);
    }
  }

  #join(key: Caller['fairnessKey']): Share {
    let share = this.#shares.get(key);
    if (!share) {
      share = { usedMs: this.#leastUsedMs, scans: 0 };
      this.#shares.set(key, share);
    }
    share.scans++;
    return share;
  }

  #wait(turns: ScanTurns): void {
    this.#waiting.push(turns);
    if (!this.#isTurnGiven) this.#giveTurnLater();
  }

  #giveTurnLater(): void {
    this.#isTurnGiven = true;
    setImmediate(() => this.#giveTurn());
  }

  #giveTurn(): void {
    this.#isTurnGiven = false;
    let next = 0;
    this.#waiting.forEach((turns, at) => {
      if (turns.goesBefore(this.#waiting[next] as ScanTurns)) next = at;
    });
    const [turns] = this.#waiting.splice(next, 1);
    if (!turns) return;
    this.#leastUsedMs = Math.max(this.#leastUsedMs, turns.share.usedMs);
    this.#giveTurnLater();
    turns.resume();
  }
}

/** The turns of one scan: `if (turns.isOver()) await turns.next()` in its loops. */
export class ScanTurns {
  readonly share: Share;
  readonly #signal: AbortSignal | undefined;
  readonly #wait: (turns: ScanTurns) => void;
  #start = performance.now();
  #usedMs = 0;
  #resume: () => void = () => undefined;

  constructor(share: Share, signal: AbortSignal | undefined, wait: (turns: ScanTurns) => void) {
    this.share = share;
    this.#signal = signal;
    this.#wait = wait;
  }

  isOver(): boolean {
    return performance.now() > this.#start + sliceMs;
  }

  /** @throws the reason of the caller's signal. */
  async next(): Promise<void> {
    this.account();
    await new Promise<void>((resume) => {
      this.#resume = resume;
      this.#wait(this);
    });
    this.#start = performance.now();
    this.#signal?.throwIfAborted();
  }

  account(): void {
    const now = performance.now();
    this.#usedMs += now - this.#start;
    this.share.usedMs += now - this.#start;
    this.#start = now;
  }

  goesBefore(other: ScanTurns): boolean {
    if (this.share !== other.share) return this.share.usedMs < other.share.usedMs;
    return this.#usedMs < other.#usedMs;
  }

  resume(): void {
    this.#resume();
  }
}
