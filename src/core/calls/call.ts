import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { AiProviderError, InvalidInputError } from '../../errors.js';
import { describeValue, isRecord, requireTenantId } from '../../internal/validate.js';
import { longestTimerMs } from '../../internal/with-deadline.js';
import type { CallPurpose } from '../ports/call-options.js';
import type { UsageOperation } from '../ports/usage-recorder.js';
import { Account } from './account.js';

/** A few words about a call, such as `{ job: 'nightly-42', feature: 'search' }`. */
export type CallTags = Readonly<Record<string, string | number | boolean>>;

/** What a caller says about a call, apart from the work itself. */
export interface CallDescription {
  readonly tenantId: number;
  /**
   * Whether somebody waits for the answer. Interactive calls go first if calls share a limit.
   * @default 'interactive'
   */
  readonly purpose?: CallPurpose | undefined;
  /**
   * Stored in `request_metadata.tags` of the call's usage rows, for reports by job, user or feature. At most 16; a key
   * has 1 to 64 letters, digits, `_`, `-`, `.`; a text at most 256 characters. Not the place for secrets.
   * @default none
   */
  readonly tags?: CallTags | undefined;
  /** How long the whole call may take, failover included, in milliseconds. @default as long as its providers allow */
  readonly timeoutMs?: number | undefined;
  /** Ends the call; its reason is rethrown untouched. */
  readonly signal?: AbortSignal | undefined;
}

const mostTags = 16;
const longestTagText = 256;
/** The call that the current asynchronous work belongs to. */
const currentCall = new AsyncLocalStorage<Call>();

/**
 * One request of a caller to the manager. It is made once, when the input is checked, and goes down to the provider.
 */
export class Call {
  /** In `request_metadata.call_id` of its usage rows. */
  readonly id = randomUUID();
  readonly tenantId: number;
  readonly operation: UsageOperation;
  readonly purpose: CallPurpose;
  readonly tags: CallTags;
  readonly account = new Account();
  readonly #controller: AbortController | undefined;
  readonly #callerSignal: AbortSignal | undefined;
  readonly #deadline: number | undefined;
  readonly #forward = () => this.#controller?.abort(this.#callerSignal?.reason);
  #timer: NodeJS.Timeout | undefined;

  /** @throws {@link InvalidInputError} for a description that is not valid. */
  constructor(operation: UsageOperation, description: CallDescription) {
    const { tenantId, purpose = 'interactive', tags, timeoutMs, signal } = description;
    this.tenantId = requireTenantId(tenantId);
    if (purpose !== 'interactive' && purpose !== 'bulk') {
      throw new InvalidInputError(`Expected \`purpose\` to be 'interactive' or 'bulk', got ${describeValue(purpose)}.`);
    }
    this.operation = operation;
    this.purpose = purpose;
    this.tags = checkTags(tags);
    this.#callerSignal = signal;
    if (timeoutMs === undefined) return;
    if (typeof timeoutMs !== 'number' || !(timeoutMs > 0 && timeoutMs <= longestTimerMs)) {
      const got = describeValue(timeoutMs);
      throw new InvalidInputError(`Expected \`timeoutMs\` to be a number above 0 and below 24 days, got ${got}.`);
    }
    this.#deadline = performance.now() + timeoutMs;
    this.#controller = new AbortController();
    signal?.addEventListener('abort', this.#forward, { once: true });
    this.#timer = setTimeout(() => this.#controller?.abort(tooLate(timeoutMs)), timeoutMs);
  }

  /** The call that the current asynchronous work belongs to, if it belongs to one. */
  static get current(): Call | undefined {
    return currentCall.getStore();
  }

  /** Aborted by the caller, or at the deadline with a `deadline_exceeded`. */
  get signal(): AbortSignal | undefined {
    return this.#controller?.signal ?? this.#callerSignal;
  }

  /** Milliseconds until the deadline; infinite without one. */
  get leftMs(): number {
    return this.#deadline === undefined ? Number.POSITIVE_INFINITY : Math.max(0, this.#deadline - performance.now());
  }

  /** Runs work that belongs to the call: {@link Call.current} finds the call inside. */
  run<Result>(work: () => Result): Result {
    return currentCall.run(this, work);
  }

  /** Stops the timer of the deadline. */
  end(): void {
    clearTimeout(this.#timer);
    this.#callerSignal?.removeEventListener('abort', this.#forward);
  }
}

/** @returns A frozen copy: rows are written later than the call. */
function checkTags(tags: unknown): CallTags {
  if (tags === undefined) return {};
  if (!isRecord(tags)) throw new InvalidInputError(`Expected \`tags\` to be an object, got ${describeValue(tags)}.`);
  const entries = Object.entries(tags).filter(([, value]) => value !== undefined);
  if (entries.length > mostTags) {
    throw new InvalidInputError(`Expected at most ${mostTags} \`tags\`, got ${entries.length}.`);
  }
  for (const [key, value] of entries) {
    if (!/^[\w.-]{1,64}$/.test(key) || key === '__proto__') {
      throw new InvalidInputError(
        'Expected each key of `tags` to be 1 to 64 letters, digits, `_`, `-` or `.`, got another one.',
      );
    }
    const isShort = typeof value === 'string' && value.length <= longestTagText;
    if (isShort || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) continue;
    throw new InvalidInputError(
      `Expected \`tags.${key}\` to be a text of at most ${longestTagText} characters, a number or a boolean, got ${describeValue(value)}.`,
    );
  }
  return Object.freeze(Object.fromEntries(entries)) as CallTags;
}

function tooLate(timeoutMs: number): AiProviderError {
  return new AiProviderError(`The call was not over within its \`timeoutMs\` of ${timeoutMs}. Give it more time.`, {
    code: 'deadline_exceeded',
    isRetryable: true,
  });
}
