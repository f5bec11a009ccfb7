export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit. @default 5 */
  readonly failureThreshold?: number | undefined;
  /** How long an open circuit lets no call through, in milliseconds; then one call tries. @default 10_000 */
  readonly cooldownMs?: number | undefined;
  /** Milliseconds from any fixed start. @default performance.now */
  readonly now?: (() => number) | undefined;
}

/**
 * Spares the callers of a dead provider its timeout and retries: after some failures in a row calls are refused for a while, then a single one
 * tries while the others are still refused (M. Nygard, "Release It!", the Circuit Breaker pattern).
 */
export class CircuitBreaker {
  readonly #failureThreshold: number;
  readonly #cooldownMs: number;
  readonly #now: () => number;
  #failures = 0;
  #openUntil = 0;

  constructor(options: CircuitBreakerOptions = {}) {
    this.#failureThreshold = options.failureThreshold ?? 5;
    this.#cooldownMs = options.cooldownMs ?? 10_000;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Milliseconds until a call may try; 0 lets this call through, and then it is the only one until it has reported its outcome or a cooldown has passed. */
  acquire(): number {
    if (this.#failures < this.#failureThreshold) return 0;
    const remainingMs = this.#openUntil - this.#now();
    if (remainingMs > 0) return remainingMs;
    this.#openUntil = this.#now() + this.#cooldownMs;
    return 0;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  failed(): void {
    this.#failures++;
    if (this.#failures >= this.#failureThreshold) this.#openUntil = this.#now() + this.#cooldownMs;
  }
}
