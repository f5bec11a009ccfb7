import { AiProviderError } from '../../../errors.js';

const crashesToOpen = 3;
const openMs = 30_000;

/** The model is left alone for a while. */
export class CircuitOpenError extends AiProviderError {
  readonly retryAfterMs: number;

  /** @param cause - The latest crash. */
  constructor(retryAfterMs: number, cause: unknown) {
    super(
      `The local model is not tried for ${Math.ceil(retryAfterMs / 1000)} seconds: its worker thread crashed ${crashesToOpen} times in a row.`,
      { code: 'circuit_open', isRetryable: true, cause },
    );
    this.retryAfterMs = retryAfterMs;
  }
}

/** Opens when threads crash several times in a row: another start would most likely end the same way. */
export class CrashCircuit {
  #crashesInARow = 0;
  #latestCrash: unknown;
  #openUntil = 0;

  /** @throws {@link CircuitOpenError} while the circuit is open. */
  check(): void {
    const retryAfterMs = Math.ceil(this.#openUntil - performance.now());
    if (retryAfterMs > 0) throw new CircuitOpenError(retryAfterMs, this.#latestCrash);
  }

  noteSuccess(): void {
    this.#crashesInARow = 0;
  }

  /** @returns what to fail everything that waits with, where this crash opened the circuit. */
  noteCrash(error: unknown): CircuitOpenError | undefined {
    this.#latestCrash = error;
    if (++this.#crashesInARow < crashesToOpen) return undefined;
    this.#crashesInARow = 0;
    this.#openUntil = performance.now() + openMs;
    return new CircuitOpenError(openMs, error);
  }
}
