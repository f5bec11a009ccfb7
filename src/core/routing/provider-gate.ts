import { type AiProviderErrorCode, isAiProviderError, ProviderError } from '../../errors.js';
import type { AiProvider } from '../ports/provider-kind.js';
import { CircuitBreaker, type CircuitBreakerOptions } from './circuit-breaker.js';
import type { ProviderFactory } from './provider-factory.js';
import type { Candidate } from './routing.js';

/** Failures of the provider's own, which the next call is likely to meet as well. */
const breakingCodes: ReadonlySet<AiProviderErrorCode> = new Set(['deadline_exceeded', 'unavailable', 'worker_crashed']);

/** The way to a provider: makes it, and keeps callers away from one that keeps failing. */
export class ProviderGate {
  readonly #factory: ProviderFactory;
  readonly #breakerOptions: CircuitBreakerOptions | undefined;
  readonly #breakers = new Map<number, CircuitBreaker>();

  constructor(factory: ProviderFactory, breakerOptions: CircuitBreakerOptions | undefined) {
    this.#factory = factory;
    this.#breakerOptions = breakerOptions;
  }

  /** @throws `circuit_open` without asking the provider, or what `work` throws. */
  async run<Result>(candidate: Candidate, work: (provider: AiProvider) => Promise<Result>): Promise<Result> {
    const provider = await this.#factory.providerFor(candidate);
    const breaker = this.#breakerOf(candidate.integration.id);
    const waitMs = breaker.acquire();
    if (waitMs > 0) {
      throw new ProviderError(
        `The provider ${provider.id} failed several times in a row and is left alone for another ${Math.ceil(waitMs)} ms.`,
        { code: 'circuit_open', isRetryable: true, provider: provider.id, retryAfterMs: Math.ceil(waitMs) },
      );
    }
    try {
      const result = await work(provider);
      breaker.succeeded();
      return result;
    } catch (error) {
      if (isAiProviderError(error) && breakingCodes.has(error.code)) breaker.failed();
      throw error;
    }
  }

  #breakerOf(integrationId: number): CircuitBreaker {
    let breaker = this.#breakers.get(integrationId);
    if (breaker === undefined) {
      breaker = new CircuitBreaker(this.#breakerOptions);
      this.#breakers.set(integrationId, breaker);
    }
    return breaker;
  }
}
