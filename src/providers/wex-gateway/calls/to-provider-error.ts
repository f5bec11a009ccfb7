import { isAiProviderError, ProviderError } from '../../../errors.js';
import { OversizedBody } from './body-codings.js';
import { redact } from './redact.js';
import { type FailureKind, kindOfFailure } from './server-failure.js';
import type { ServerFailure } from './server-words.js';
import { retryAfterMs, waitInWords } from './wait-hints.js';

/** Who was asked, for messages. */
export interface Endpoint {
  /** The provider's id. */
  readonly id: string;
  /** Host and port. */
  readonly host: string;
  /** The path of the base URL. */
  readonly basePath?: string | undefined;
  /** What no message may show. */
  readonly secrets: readonly string[];
  /** Whether errors carry the server's own words, without secrets and inputs. */
  readonly keepsServerWords?: boolean | undefined;
}

/** What was asked for. */
export interface RequestTarget {
  readonly model: string;
  /** Below the base URL, such as `/embeddings`. */
  readonly path: string;
  /** The names of the parameters in the body. */
  readonly parameters: readonly string[];
  /** The caller's texts, which an error must not show. */
  readonly inputs: readonly string[];
}

/** Thrown by whoever reads an answer: the server reports a failure. Never leaves this folder. */
export class ReportedFailure extends Error {
  constructor(
    readonly failure: ServerFailure,
    readonly headers: Headers,
    readonly target: RequestTarget,
  ) {
    super('The server reports a failure.');
  }
}

/**
 * Thrown by whoever reads an answer: it cannot be read. `isCut`: the transfer broke without the connection saying so.
 */
export class UnreadableBody extends Error {
  constructor(
    readonly isCut: boolean,
    readonly headers: Headers,
    readonly isPage = false,
  ) {
    super('The body cannot be read.');
  }
}

/** What a server said, and what it means. */
export interface Refusal {
  readonly kind: FailureKind;
  readonly failure: ServerFailure;
}

const details = new WeakMap<object, Refusal>();

/** What the server said, for an error that {@link toProviderError} made of it. */
export function failureBehind(error: unknown): Refusal | undefined {
  return typeof error === 'object' && error !== null ? details.get(error) : undefined;
}

/** The same for what reading an answer threw, if the server refused the request: another shape of it may be taken. */
export function refusalBehind(error: unknown): Refusal | undefined {
  if (!(error instanceof ReportedFailure)) return undefined;
  const { failure, target } = error;
  const redacted = { ...failure, message: redact(failure.message, [], target.inputs) };
  const kind = kindOfFailure(redacted, target.parameters);
  const isRefusal = kind.code === 'invalid_config' || kind.code === 'input_refused';
  return isRefusal ? { kind, failure: redacted } : undefined;
}

/** @param error - What `JSON.parse` threw. */
export function unreadableBody(error: unknown, headers: Headers, beginning: string): UnreadableBody {
  const isCut = error instanceof Error && /end of JSON input|Unterminated string/.test(error.message);
  return new UnreadableBody(isCut, headers, beginning.trimStart().startsWith('<'));
}

/**
 * Turns what reading an answer threw into an error of ours. The server's own words are not in its message, nor is the
 * original error its `cause`: servers repeat inputs and even keys. What helps an operator and cannot hold them is
 * kept: model, path, status, code, request id.
 */
export function toProviderError(error: unknown, endpoint: Endpoint, attempts: number): Error {
  if (isAiProviderError(error)) return error;
  if (error instanceof ReportedFailure) return reported(error, endpoint, attempts);
  if (error instanceof UnreadableBody) return unreadable(error, endpoint, attempts);
  if (error instanceof OversizedBody) {
    return new ProviderError(
      `${endpoint.id} at ${endpoint.host} answered with more than ${error.mostBytes} bytes, which is not read.`,
      { code: 'invalid_response', provider: endpoint.id, attempts },
    );
  }
  const reason = systemCode(error) ?? 'the connection failed';
  const isCertificate = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(reason);
  return new ProviderError(
    `${endpoint.id} could not be reached at ${endpoint.host} (${reason}).${isCertificate ? ' Its certificate is not trusted here: set NODE_EXTRA_CA_CERTS or a dispatcher.' : ''}`,
    { code: 'unavailable', isRetryable: !isCertificate, provider: endpoint.id, attempts },
  );
}

function reported({ failure, headers, target }: ReportedFailure, endpoint: Endpoint, attempts: number): ProviderError {
  const { secrets, keepsServerWords } = endpoint;
  // First, so that no input of the caller is taken for the reason of the server.
  const message = redact(failure.message, secrets, target.inputs);
  const kind = kindOfFailure({ ...failure, message }, target.parameters);
  const requestId = requestIdOf(headers, endpoint);
  const words = failure.words.filter((word) => isHarmlessWord(word, endpoint));
  const facts = [
    ...(holdsSecret(target.model, endpoint) ? [] : [`model ${target.model}`]),
    `path ${endpoint.basePath ?? ''}${target.path}`,
    `HTTP ${failure.status ?? 200}`,
    ...words.slice(0, 4),
    ...(isHarmlessWord(failure.param, endpoint) ? [`parameter ${failure.param}`] : []),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  const hint = hintFor(failure, kind, endpoint);
  const made = new ProviderError(`${endpoint.id} at ${endpoint.host} ${kind.says} (${facts.join(', ')}).${hint}`, {
    code: kind.code,
    isRetryable: kind.isRetryable,
    provider: endpoint.id,
    status: failure.status ?? 200,
    requestId,
    retryAfterMs: retryAfterMs(headers) ?? failure.retryAfterMs ?? waitIn(message, kind),
    attempts,
    ...(keepsServerWords && message !== '' ? { serverWords: message } : {}),
  });
  details.set(made, { kind, failure: { ...failure, message } });
  return made;
}

function waitIn(message: string, { code }: FailureKind): number | undefined {
  return code === 'rate_limited' ? waitInWords(message) : undefined;
}

/** What an operator may try next. */
function hintFor(
  failure: ServerFailure,
  { code, parameter, blamesInput }: FailureKind,
  { basePath }: Endpoint,
): string {
  const isAddress = failure.isPage || failure.status === 404 || failure.status === 405;
  if (isAddress && !/\/v\d/.test(basePath ?? '')) return ' The base URL may lack `/v1` at its end.';
  if (parameter === 'dimensions')
    return ' Remove `dimensions` from the row, or name a model that can shorten its vectors.';
  if (parameter === 'encoding_format') return " Set `encoding_format` to 'float' in the row.";
  if (code === 'invalid_config' && parameter !== undefined)
    return ' Remove it from the row or the call, or name another model.';
  if (failure.status === 413) return ' A smaller `batch_size` or a shorter text may pass.';
  return blamesInput === 'perhaps' ? " Set `keepServerWords` to see the server's own words." : '';
}

function unreadable({ isCut, headers, isPage }: UnreadableBody, endpoint: Endpoint, attempts: number): ProviderError {
  const lacksVersion = !/\/v\d/.test(endpoint.basePath ?? '');
  const says = isPage
    ? `answered with a web page: its base URL does not lead to the API${lacksVersion ? ' and may lack `/v1` at its end' : ''}`
    : `answered with a body that is not JSON${isCut ? ', perhaps cut off' : ''}`;
  return new ProviderError(`${endpoint.id} at ${endpoint.host} ${says}.`, {
    code: isPage ? 'invalid_config' : 'invalid_response',
    // What came in full was paid for, and would come again.
    isRetryable: isCut,
    provider: endpoint.id,
    requestId: requestIdOf(headers, endpoint),
    attempts,
  });
}

/** Which request an answer belongs to. */
export interface AnswerOrigin {
  readonly requestId: string | undefined;
  readonly attempts: number;
}

/** The server answered in full, and the answer is unusable: another request would be paid again. */
export function unusableResponse(
  what: string,
  endpoint: Endpoint,
  { requestId, attempts }: AnswerOrigin,
): ProviderError {
  return new ProviderError(`${endpoint.id} at ${endpoint.host} answered with ${what}.`, {
    code: 'invalid_response',
    provider: endpoint.id,
    status: 200,
    requestId,
    attempts,
  });
}

/** In this order: a gateway's own id before that of what is in front of it. */
const requestIdHeaders = [
  'x-request-id',
  'apim-request-id',
  'x-litellm-call-id',
  'x-portkey-trace-id',
  'x-oneapi-request-id',
  'x-amzn-requestid',
  'request-id',
  'cf-ray',
];

export function requestIdOf(headers: Headers | undefined, endpoint: Endpoint): string | undefined {
  for (const name of requestIdHeaders) {
    const id = headers?.get(name) ?? '';
    if (/^[\w.:-]{1,128}$/.test(id) && !holdsSecret(id, endpoint)) return id;
  }
  return undefined;
}

/** Single words are error codes; keys, prompts and sentences are not made of them. */
function isHarmlessWord(word: unknown, endpoint: Endpoint): boolean {
  return typeof word === 'string' && /^[a-z][a-z_]{0,63}$/i.test(word) && !holdsSecret(word, endpoint);
}

function holdsSecret(text: string, { secrets }: Endpoint): boolean {
  return secrets.some((secret) => text.includes(secret) || (text.length >= 4 && secret.includes(text)));
}

/** `ECONNREFUSED` and the like, from somewhere down the chain of causes. */
function systemCode(error: unknown): string | undefined {
  for (let cause: unknown = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth++) {
    const { code } = cause as { code?: unknown };
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,40}$/.test(code)) return code;
    if (cause instanceof AggregateError && cause.errors.length > 0) return systemCode(cause.errors[0]);
  }
  return undefined;
}
