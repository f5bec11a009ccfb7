import { type AiProviderErrorCode, isAiProviderError, ProviderError } from '../../errors.js';
import type { AiProvider, Operation } from '../ports/provider-kind.js';
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
  readonly integrationId: number;
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

/**
 * The way to a provider: makes it, and keeps callers away from one that keeps failing. Embeddings and text have a circuit
 * each: a server whose embedding model fails may still write text.
 */
export class ProviderGate {
  readonly #factory: ProviderFactory;
  readonly #breakerOptions: CircuitBreakerOptions | undefined;
  /** By integration and operation. */
  readonly #circuits = new Map<string, Circuit>();

  constructor(factory: ProviderFactory, breakerOptions: CircuitBreakerOptions | undefined) {
    this.#factory = factory;
    this.#breakerOptions = breakerOptions;
  }

  /** @throws `circuit_open` without asking the provider, or what `work` throws. */
  async run<Result>(
    candidate: Candidate,
    operation: Operation,
    work: (provider: AiProvider) => Promise<Result>,
  ): Promise<Result> {
    const pass = await this.enter(candidate, operation);
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
  async enter(candidate: Candidate, operation: Operation): Promise<Pass> {
    const provider = await this.#factory.providerFor(candidate);
    const circuit = this.#circuitOf(candidate, operation);
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

  /** Of one operation, or of the one that is worse off. */
  healthOf({ integration, fingerprint }: Candidate, operation?: Operation): CircuitHealth {
    const asked = operation === undefined ? operations : [operation];
    const [worst] = asked
      .flatMap((each) => this.#circuits.get(keyOf(integration.id, each)) ?? [])
      .filter((circuit) => circuit.fingerprint === fingerprint)
      .toSorted((a, b) => severityOf(b) - severityOf(a));
    if (worst === undefined) return { circuit: 'closed', lastError: null };
    return { circuit: worst.breaker.state, lastError: worst.lastError };
  }

  /** Forgets the circuits of a tenant's integrations that are no longer active. */
  retain(tenantId: number, candidates: readonly Candidate[]): void {
    const active = new Set(candidates.map(({ integration }) => integration.id));
    for (const [key, circuit] of this.#circuits) {
      if (circuit.tenantId === tenantId && !active.has(circuit.integrationId)) this.#circuits.delete(key);
    }
  }

  #circuitOf({ integration, fingerprint }: Candidate, operation: Operation): Circuit {
    const { id: integrationId, tenantId } = integration;
    const key = keyOf(integrationId, operation);
    let circuit = this.#circuits.get(key);
    if (circuit?.fingerprint !== fingerprint) {
      const breaker = new CircuitBreaker(this.#breakerOptions);
      circuit = { tenantId, integrationId, fingerprint, breaker, lastError: null };
      this.#circuits.set(key, circuit);
    }
    return circuit;
  }
}

const operations: readonly Operation[] = ['embedding', 'text'];
const statesByHealth: readonly CircuitState[] = ['closed', 'half_open', 'open'];

function keyOf(integrationId: number, operation: Operation): string {
  return `${integrationId}:${operation}`;
}

/** An open circuit before a half-open one, and a failure before none. */
function severityOf({ breaker, lastError }: Circuit): number {
  return 2 * statesByHealth.indexOf(breaker.state) + (lastError === null ? 0 : 1);
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
