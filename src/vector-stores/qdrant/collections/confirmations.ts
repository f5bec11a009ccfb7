/**
 * Looks that many wait for: at most one of a kind at a time. Who comes while one is under way gets the next, which
 * begins after it came.
 */
export class Confirmations {
  readonly #running = new Map<string, Promise<unknown>>();
  readonly #next = new Map<string, Promise<unknown>>();

  run<Value>(kind: string, look: () => Promise<Value>): Promise<Value> {
    const running = this.#running.get(kind);
    if (running === undefined) return this.#start(kind, look);
    let next = this.#next.get(kind);
    if (next === undefined) {
      const begin = (): Promise<Value> => {
        this.#next.delete(kind);
        return this.#start(kind, look);
      };
      next = running.then(begin, begin);
      this.#next.set(kind, next);
    }
    return next as Promise<Value>;
  }

  #start<Value>(kind: string, look: () => Promise<Value>): Promise<Value> {
    const started = look().finally(() => {
      if (this.#running.get(kind) === started) this.#running.delete(kind);
    });
    this.#running.set(kind, started);
    return started;
  }
}
