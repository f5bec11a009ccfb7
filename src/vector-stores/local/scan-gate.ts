interface Waiting {
  readonly isScan: boolean;
  readonly start: () => void;
}

/**
 * Lets many scans run at a time, and changes only between them, in the order in which they came: a scan gives way to the event loop while
 * it runs, and must not see half of a change when it goes on. A change itself is synchronous.
 */
export class ScanGate {
  #runningScans = 0;
  readonly #waiting: Waiting[] = [];

  async scan<Result>(run: () => Promise<Result>): Promise<Result> {
    if (this.#waiting.length > 0) {
      await new Promise<void>((start) => this.#waiting.push({ isScan: true, start }));
    } else {
      this.#runningScans++;
    }
    try {
      return await run();
    } finally {
      this.#runningScans--;
      this.#startWaiting();
    }
  }

  async change<Result>(run: () => Result): Promise<Result> {
    if (this.#runningScans === 0 && this.#waiting.length === 0) return run();
    return new Promise<Result>((resolve, reject) => {
      const start = (): void => {
        try {
          resolve(run());
        } catch (error) {
          reject(error);
        }
      };
      this.#waiting.push({ isScan: false, start });
    });
  }

  #startWaiting(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!next.isScan && this.#runningScans > 0) return;
      this.#waiting.shift();
      if (next.isScan) this.#runningScans++;
      next.start();
    }
  }
}
