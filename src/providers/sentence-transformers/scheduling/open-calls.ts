import { rejectOnAbort } from '../../../internal/reject-on-abort.js';

/** A call under way. Its signal aborts with the caller's reason, or with that of the closing. */
export interface OpenCall {
  readonly signal: AbortSignal;
  /** Stops what still goes on for it. */
  end(): void;
}

interface CallsOfSignal {
  readonly calls: Set<AbortController>;
  readonly forward: () => void;
}

const ended = new Error('The call has ended.');

/** The calls under way on a provider, each of which ends at once when its caller aborts it or the provider is closed. */
export class OpenCalls {
  readonly #calls = new Set<AbortController>();
  readonly #bySignal = new Map<AbortSignal, CallsOfSignal>();
  readonly #closedError: () => Error;
  #isClosed = false;

  constructor(closedError: () => Error) {
    this.#closedError = closedError;
  }

  /** @throws the signal's reason, or the error of a closed provider. */
  open(signal: AbortSignal | undefined): OpenCall {
    signal?.throwIfAborted();
    if (this.#isClosed) throw this.#closedError();
    const call = new AbortController();
    this.#calls.add(call);
    const leave = signal === undefined ? () => {} : this.#follow(signal, call);
    return {
      signal: call.signal,
      end: () => {
        this.#calls.delete(call);
        leave();
        call.abort(ended);
      },
    };
  }

  async run<Result>(signal: AbortSignal | undefined, run: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const call = this.open(signal);
    try {
      return await rejectOnAbort(run(call.signal), call.signal);
    } finally {
      call.end();
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const call of this.#calls) call.abort(this.#closedError());
  }

  /**
   * Aborts the call with the signal. One listener serves all calls of a signal and goes with the last of them: Node warns of more than ten, walks over all
   * of them to add one, and with `AbortSignal.any` a signal that lives as long as the provider would collect one a call.
   */
  #follow(signal: AbortSignal, call: AbortController): () => void {
    const group = this.#bySignal.get(signal) ?? this.#newGroup(signal);
    group.calls.add(call);
    return () => {
      group.calls.delete(call);
      if (group.calls.size > 0) return;
      this.#bySignal.delete(signal);
      signal.removeEventListener('abort', group.forward);
    };
  }

  #newGroup(signal: AbortSignal): CallsOfSignal {
    const calls = new Set<AbortController>();
    const forward = (): void => {
      for (const call of calls) call.abort(signal.reason);
    };
    signal.addEventListener('abort', forward);
    const group = { calls, forward };
    this.#bySignal.set(signal, group);
    return group;
  }
}
