import { type AiProviderErrorCode, isAiProviderError, ProviderError } from '../../errors.js';
import type { AiProvider } from '../ports/provider-kind.js';
import type { Candidate } from './candidate.js';
import { CircuitBreaker, type CircuitBreakerOptions, type CircuitState } from './circuit-breaker.js';
import { circuitEffectOf } from './error-policy.js';
import type { ProviderFactory } from './provider-factory.js';

/** How an integration has served lately. */
export interface CircuitHealth {
  readonly circuit: CircuitState;
  /** The latest failure since the row last changed, or null. */
  readonly lastError: { readonly code: AiProviderErrorCode; readonly message: string; readonly at: Date } | null;
}

interface Circuit {
  readonly tenantId: number;
  /** Of the row's version that failed: a corrected row starts with a closed circuit. */
  readonly fingerprint: string;
  readonly breaker: CircuitBreaker;
  lastError: CircuitHealth['lastError'];
}

/** A provider that was let through. */
export interface Pass {
  readonly provider: AiProvider;
  /** Reports the outcome, once: the error, or nothing after a success. */
  settle(error?: unknown): void;
}

/** The way to a provider: makes it, and keeps callers away from one that keeps failing. */
export class ProviderGate {
  readonly #factory: ProviderFactory;
  readonly #breakerOptions: CircuitBreakerOptions | undefined;
  readonly #circuits = new Map<number, Circuit>();

  constructor(factory: ProviderFactory, breakerOptions: CircuitBreakerOptions | undefined) {
    this.#factory = factory;
    this.#breakerOptions = breakerOptions;
  }

  /** @throws `circuit_open` without asking the provider, or what `work` throws. */
  async run<Result>(candidate: Candidate, work: (provider: AiProvider) => Promise<Result>): Promise<Result> {
    const pass = await this.enter(candidate);
    try {
      const result = await work(pass.provider);
      pass.settle();
      return result;
    } catch (error) {
      pass.settle(error ?? new Error('The work failed without an error.'));
      throw error;
    }
  }

  /**
   * For work that goes on after its first answer: whoever enters settles the pass.
   * @throws As {@link ProviderGate.run} does.
   */
  async enter(candidate: Candidate): Promise<Pass> {
    const provider = await this.#factory.providerFor(candidate);
    const circuit = this.#circuitOf(candidate);
    const waitMs = circuit.breaker.acquire();
    if (waitMs > 0) {
      const why = circuit.lastError === null ? '' : ` The latest failure: ${circuit.lastError.message}`;
      throw new ProviderError(
        `The provider ${provider.id} failed and is left alone for another ${Math.ceil(waitMs)} ms.${why}`,
        { code: 'circuit_open', isRetryable: true, provider: provider.id, retryAfterMs: Math.ceil(waitMs) },
      );
    }
    let isSettled = false;
    return {
      provider,
      settle: (error) => {
        if (isSettled) return;
        isSettled = true;
        report(circuit, error);
      },
    };
  }

  healthOf({ integration, fingerprint }: Candidate): CircuitHealth {
    const circuit = this.#circuits.get(integration.id);
    if (circuit?.fingerprint !== fingerprint) return { circuit: 'closed', lastError: null };
    return { circuit: circuit.breaker.state, lastError: circuit.lastError };
  }

  /** Forgets the circuits of a tenant's integrations that are no longer active. */
  retain(tenantId: number, candidates: readonly Candidate[]): void {
    for (const [id, circuit] of this.#circuits) {
      const isGone = circuit.tenantId === tenantId && !candidates.some(({ integration }) => integration.id === id);
      if (isGone) this.#circuits.delete(id);
    }
  }

  #circuitOf({ integration, fingerprint }: Candidate): Circuit {
    let circuit = this.#circuits.get(integration.id);
    if (circuit?.fingerprint !== fingerprint) {
      const breaker = new CircuitBreaker(this.#breakerOptions);
      circuit = { tenantId: integration.tenantId, fingerprint, breaker, lastError: null };
      this.#circuits.set(integration.id, circuit);
    }
    return circuit;
  }
}

function report(circuit: Circuit, error: unknown): void {
  const { breaker } = circuit;
  if (error === undefined) {
    breaker.succeeded();
    return;
  }
  if (isAiProviderError(error)) {
    circuit.lastError = { code: error.code, message: error.message, at: new Date() };
  }
  const { effect, openForMs } = circuitEffectOf(error);
  if (effect === 'closes') breaker.succeeded();
  else if (effect === 'counts') breaker.failed();
  else if (effect === 'opens') breaker.openFor(openForMs);
  else breaker.released();
}
