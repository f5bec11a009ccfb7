/**
 * What went wrong, as a stable string. `code` is the contract: messages may be reworded in any release, codes may not.
 * docs/errors.md lists every code with its cause and what to do.
 */
export type AiProviderErrorCode =
  | 'aborted_by_close'
  | 'authentication_failed'
  | 'budget_exceeded'
  | 'circuit_open'
  | 'collection_not_found'
  | 'credential_invalid'
  | 'deadline_exceeded'
  | 'dimension_mismatch'
  | 'embedding_partially_failed'
  | 'embedding_space_mismatch'
  | 'fallback_invalid'
  | 'input_refused'
  | 'integration_not_found'
  | 'invalid_config'
  | 'invalid_input'
  | 'invalid_response'
  | 'isolation_violated'
  | 'missing_dependency'
  | 'model_unavailable'
  | 'providers_exhausted'
  | 'quota_exceeded'
  | 'rate_limited'
  | 'repository_failed'
  | 'storage_corrupt'
  | 'storage_locked'
  | 'unavailable'
  | 'unknown_provider'
  | 'unsupported_operation'
  | 'upsert_partially_failed'
  | 'vector_store_failed'
  | 'worker_crashed';

const brand = Symbol.for('@pulse/ai-providers.error');

export interface AiProviderErrorOptions {
  readonly code: AiProviderErrorCode;
  /** Whether the same call may succeed later without a change by the caller. @default false */
  readonly isRetryable?: boolean;
  readonly cause?: unknown;
}

/**
 * The base of every error that this library throws, except the caller's own abort, which is rethrown untouched.
 * No message holds an API key, a prompt, a text or a vector.
 *
 * Use {@link isAiProviderError} rather than `instanceof`: it also recognises errors of the other module format (ESM or
 * CJS).
 */
export class AiProviderError extends Error {
  override readonly name: string = 'AiProviderError';
  readonly code: AiProviderErrorCode;
  readonly isRetryable: boolean;

  constructor(message: string, options: AiProviderErrorOptions) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = options.code;
    this.isRetryable = options.isRetryable ?? false;
    Object.defineProperty(this, brand, { value: true });
  }
}

/**
 * Whether a value is an error of this library, also across ESM and CJS copies of it.
 *
 * With a code it narrows to the class that carries the code's data.
 *
 * @example
 * try { await manager.generateEmbeddings(texts, { tenantId }) }
 * catch (error) { if (isAiProviderError(error) && error.isRetryable) requeue() ; else throw error }
 *
 * @example
 * if (isAiProviderError(error, 'rate_limited')) await sleep(error.retryAfterMs ?? 1000);
 */
export function isAiProviderError(value: unknown): value is AiProviderError;
export function isAiProviderError<Code extends AiProviderErrorCode>(
  value: unknown,
  code: Code,
): value is AiProviderErrorOf<Code> & { readonly code: Code };
export function isAiProviderError(value: unknown, code?: AiProviderErrorCode): boolean {
  if (typeof value !== 'object' || value === null || (value as Record<symbol, unknown>)[brand] !== true) return false;
  return code === undefined || (value as AiProviderError).code === code;
}

/** The class, or the classes, of the errors with a code. */
export type AiProviderErrorOf<Code extends AiProviderErrorCode> = Code extends keyof ClassByCode
  ? ClassByCode[Code]
  : AiProviderError;

/** The codes whose errors carry data, and of which class they are. */
interface ClassByCode {
  authentication_failed: ProviderError | VectorStoreError;
  budget_exceeded: BudgetExceededError;
  circuit_open: ProviderError;
  collection_not_found: VectorStoreError;
  embedding_partially_failed: PartialEmbeddingError;
  embedding_space_mismatch: EmbeddingSpaceMismatchError;
  input_refused: ProviderError;
  invalid_input: InvalidInputError;
  invalid_response: ProviderError | VectorStoreError;
  isolation_violated: VectorStoreError;
  missing_dependency: MissingDependencyError;
  model_unavailable: ProviderError;
  providers_exhausted: ProvidersExhaustedError;
  quota_exceeded: ProviderError;
  rate_limited: ProviderError | VectorStoreError;
  repository_failed: RepositoryError;
  unavailable: ProviderError | VectorStoreError;
  upsert_partially_failed: PartialUpsertError;
  vector_store_failed: VectorStoreError;
  worker_crashed: ProviderError;
}

/** A value from the caller is unusable; thrown before any I/O. `position` is its index if it was in a list. */
export class InvalidInputError extends AiProviderError {
  override readonly name = 'InvalidInputError';
  readonly position: number | undefined;

  constructor(message: string, options: { readonly position?: number; readonly cause?: unknown } = {}) {
    super(message, { code: 'invalid_input', ...('cause' in options ? { cause: options.cause } : {}) });
    this.position = options.position;
  }
}

/**
 * Packages that the called part needs could not be loaded; `cause` says why. The message holds the install line. Never
 * the sign of an outage: the same call fails again until the host is built or installed differently.
 */
export class MissingDependencyError extends AiProviderError {
  override readonly name = 'MissingDependencyError';
  /** The first of `packageNames`. */
  readonly packageName: string;
  /** All that are missing, so that one install line is enough. */
  readonly packageNames: readonly string[];
  /** Whether nothing was found by that name, or something that cannot be loaded: a broken install, or a bundle. */
  readonly reason: 'not_installed' | 'cannot_be_loaded';

  constructor(
    packages: string | readonly [string, ...string[]],
    neededFor: string,
    cause: unknown,
    reason: MissingDependencyError['reason'] = isNotFound(cause) ? 'not_installed' : 'cannot_be_loaded',
  ) {
    const names = typeof packages === 'string' ? ([packages] as const) : packages;
    const subject = `${neededFor} needs the ${names.length === 1 ? 'package' : 'packages'} ${names.join(', ')}`;
    const install = `npm install ${names.join(' ')}`;
    super(
      reason === 'not_installed'
        ? `${subject}, which could not be found. Install: ${install}`
        : `${subject}, which could not be loaded${reasonOf(cause)}. Install again: ${install}. A host that is bundled leaves it out of the bundle.`,
      { code: 'missing_dependency', cause },
    );
    this.packageName = names[0];
    this.packageNames = names;
    this.reason = reason;
  }
}

/** The first line of what the loader said, without the stack that may follow it. */
function reasonOf(cause: unknown): string {
  return cause instanceof Error && cause.message !== '' ? ` (${cause.message.split('\n', 1)[0]})` : '';
}

/** Node's word, in both module systems, for a module that is not there. */
function isNotFound(cause: unknown): boolean {
  return /MODULE_NOT_FOUND$/.test(String((cause as { readonly code?: unknown } | undefined)?.code));
}

export interface ProviderErrorOptions extends AiProviderErrorOptions {
  /** The id of the provider object, such as `wex_ai_gateway:12`. */
  readonly provider: string;
  readonly status?: number | undefined;
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly attempts?: number | undefined;
  readonly serverWords?: string | undefined;
}

/** A provider could not do what it was asked. */
export class ProviderError extends AiProviderError {
  override readonly name: string = 'ProviderError';
  readonly provider: string;
  /** The HTTP status, if there was a response. */
  readonly status: number | undefined;
  /** The server's id of the request, to quote to its operators. */
  readonly requestId: string | undefined;
  /** How long the server asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** How many requests were made. */
  readonly attempts: number | undefined;
  /**
   * What the server said, without secrets and inputs of the call. Only if the host asked for it (`keepServerWords`).
   */
  declare readonly serverWords?: string;

  constructor(message: string, options: ProviderErrorOptions) {
    super(message, options);
    this.provider = options.provider;
    this.status = options.status;
    this.requestId = options.requestId;
    this.retryAfterMs = options.retryAfterMs;
    this.attempts = options.attempts;
    if (options.serverWords !== undefined) this.serverWords = options.serverWords;
  }
}

/** An input that got no vector, and why. */
export interface EmbeddingFailure {
  readonly position: number;
  readonly error: AiProviderError;
}

/**
 * Some inputs of a call got no vector. The vectors that were computed, and perhaps paid for, are in `partialResult` (an
 * `EmbeddingResult` whose `embeddings` has `undefined` for each input that failed): store them and send only the failed
 * ones again.
 */
export class PartialEmbeddingError<Result = unknown> extends ProviderError {
  override readonly name = 'PartialEmbeddingError';
  /** One entry a failed input, ordered by position. */
  readonly failures: readonly EmbeddingFailure[];
  /** Not enumerable: a logger that takes errors apart would log every vector. */
  declare readonly partialResult: Result;

  constructor(
    message: string,
    options: Omit<ProviderErrorOptions, 'code'> & {
      readonly failures: readonly EmbeddingFailure[];
      readonly partialResult: Result;
    },
  ) {
    super(message, { ...options, code: 'embedding_partially_failed' });
    this.failures = options.failures;
    Object.defineProperty(this, 'partialResult', { value: options.partialResult });
  }
}

/** Vectors of two embedding spaces would have been mixed; they cannot be compared, even if their dimensions agree. */
export class EmbeddingSpaceMismatchError extends AiProviderError {
  override readonly name = 'EmbeddingSpaceMismatchError';
  /** The ids of the two spaces, see `embeddingSpaceId`. */
  readonly expected: string;
  readonly received: string;

  constructor(message: string, options: { readonly expected: string; readonly received: string }) {
    super(message, { code: 'embedding_space_mismatch' });
    this.expected = options.expected;
    this.received = options.received;
  }
}

/** Every provider that was allowed for a call failed; `errors` has one entry each, in the order tried. */
export class ProvidersExhaustedError extends AiProviderError {
  override readonly name = 'ProvidersExhaustedError';
  readonly errors: readonly AiProviderError[];

  constructor(message: string, errors: readonly AiProviderError[]) {
    super(message, {
      code: 'providers_exhausted',
      isRetryable: errors.some((error) => error.isRetryable),
      cause: errors[0],
    });
    this.errors = errors;
  }
}

/** A tenant's hard budget leaves less than a call is estimated to cost, and no free provider could serve it. */
export class BudgetExceededError extends AiProviderError {
  override readonly name = 'BudgetExceededError';
  readonly tenantId: number;
  readonly period: 'daily' | 'monthly';
  /** US dollars, as decimal strings. */
  readonly limit: string;
  /** What is spent or set aside for calls under way. */
  readonly spent: string;
  /** When the budget renews. */
  readonly renewsAt: Date;
  /** The time until then, in milliseconds. */
  readonly retryAfterMs: number;

  constructor(
    message: string,
    options: Pick<BudgetExceededError, 'tenantId' | 'period' | 'limit' | 'spent' | 'renewsAt' | 'retryAfterMs'>,
  ) {
    super(message, { code: 'budget_exceeded', isRetryable: true });
    this.tenantId = options.tenantId;
    this.period = options.period;
    this.limit = options.limit;
    this.spent = options.spent;
    this.renewsAt = options.renewsAt;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The vector store refused or failed an operation. */
export class VectorStoreError extends AiProviderError {
  override readonly name: string = 'VectorStoreError';
  readonly collection: string | undefined;
  /** The HTTP status, if there was a response. */
  readonly status: number | undefined;
  /** How long the server asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: VectorStoreErrorOptions) {
    super(message, options);
    this.collection = options.collection;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export interface VectorStoreErrorOptions extends AiProviderErrorOptions {
  readonly collection?: string | undefined;
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** A record that is not known to be stored, and why. */
export interface UpsertFailure {
  /** Its place among the records of the call. */
  readonly position: number;
  readonly recordId: string | number;
  readonly error: AiProviderError;
}

/**
 * Some records of an upsert are not known to be stored; all others that were read are. If an iterable was not read to
 * its end, `cause` says why: the error of an unusable record, with its position, or what the iterable threw. Sending
 * the failed ones again, or all of them, is safe: a record's id is derived from its key, so nothing is stored twice.
 */
export class PartialUpsertError extends VectorStoreError {
  override readonly name = 'PartialUpsertError';
  /** One entry a failed record, ordered by position. */
  readonly failures: readonly UpsertFailure[];
  /** How many records were stored. */
  readonly upsertedCount: number;

  constructor(
    message: string,
    options: Omit<VectorStoreErrorOptions, 'code'> & {
      readonly failures: readonly UpsertFailure[];
      readonly upsertedCount: number;
    },
  ) {
    super(message, { ...options, code: 'upsert_partially_failed' });
    this.failures = options.failures;
    this.upsertedCount = options.upsertedCount;
  }
}

export interface RepositoryErrorOptions {
  readonly operation: string;
  readonly isRetryable: boolean;
  readonly isAboutRow?: boolean | undefined;
  readonly cause: unknown;
}

/** The host's database failed an operation on `integrations` or `ai_usage_trackings`. */
export class RepositoryError extends AiProviderError {
  override readonly name = 'RepositoryError';
  readonly operation: string;
  /** The database refused the values of the row, and would refuse them again; other rows may be written. */
  readonly isAboutRow: boolean;

  constructor(message: string, options: RepositoryErrorOptions) {
    super(message, { code: 'repository_failed', isRetryable: options.isRetryable, cause: options.cause });
    this.operation = options.operation;
    this.isAboutRow = options.isAboutRow ?? false;
  }
}
