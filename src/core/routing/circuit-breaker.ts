export interface CircuitBreakerOptions {
  /** Failures in a row that open the circuit. @default 5 */
  readonly failureThreshold?: number | undefined;
  /** How long an open circuit lets no call through, in milliseconds; then one call tries. @default 10_000 */
  readonly cooldownMs?: number | undefined;
  /** Milliseconds from any fixed start. @default performance.now */
  readonly now?: (() => number) | undefined;
}

/** `closed`: calls go through. `open`: none does. `half_open`: the cooldown is over, and one call tries. */
export type CircuitState = 'closed' | 'open' | 'half_open';

/**
 * Spares the callers of a dead provider its timeout and retries: after some failures in a row calls are refused for a
 * while, then a single one tries while the others are still refused (M. Nygard, "Release It!", the Circuit Breaker
 * pattern).
 */
export class CircuitBreaker {
  readonly #failureThreshold: number;
  readonly #cooldownMs: number;
  readonly #now: () => number;
  #failures = 0;
  #openUntil = 0;
  #isOpen = false;
  #isTrying = false;

  constructor(options: CircuitBreakerOptions = {}) {
    this.#failureThreshold = options.failureThreshold ?? 5;
    this.#cooldownMs = options.cooldownMs ?? 10_000;
    this.#now = options.now ?? (() => performance.now());
  }

  get state(): CircuitState {
    if (!this.#isOpen) return 'closed';
    return this.#isTrying || this.#openUntil <= this.#now() ? 'half_open' : 'open';
  }

  /**
   * Milliseconds until a call may try; 0 lets this call through. In a half-open circuit it is then the only one until
   * it has reported its outcome or a cooldown has passed.
   */
  acquire(): number {
    if (!this.#isOpen) return 0;
    const remainingMs = this.#openUntil - this.#now();
    if (remainingMs > 0) return remainingMs;
    this.#openUntil = this.#now() + this.#cooldownMs;
    this.#isTrying = true;
    return 0;
  }

  /** The provider answered, if only to refuse the request. */
  succeeded(): void {
    this.#failures = 0;
    this.#isOpen = false;
    this.#isTrying = false;
  }

  failed(): void {
    this.#failures++;
    if (this.#failures >= this.#failureThreshold) this.openFor(this.#cooldownMs);
  }

  /** Opens the circuit at once, at least for the cooldown if no time is given. */
  openFor(ms: number = this.#cooldownMs): void {
    this.#isOpen = true;
    this.#isTrying = false;
    this.#openUntil = this.#now() + ms;
  }

  /** The call that was let through ended without a word about the provider: the next one may try. */
  released(): void {
    if (!this.#isTrying) return;
    this.#isTrying = false;
    this.#openUntil = this.#now();
  }
}
