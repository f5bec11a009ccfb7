import type { ProviderHealth } from '../../../core/ports/embedding-provider.js';
import {
  type AiProviderError,
  type AiProviderErrorCode,
  isAiProviderError,
  type ProviderError,
} from '../../../errors.js';
import { isRecord } from '../../../internal/validate.js';
import { plainModelName } from '../model-names.js';
import type { ResolvedWexGatewayOptions } from '../options.js';
import { readText } from './body-codings.js';
import { type OpenGatewayCall, openGatewayCall } from './gateway-call.js';
import { failureInside } from './server-words.js';
import { type Endpoint, ReportedFailure, type RequestTarget, UnreadableBody } from './to-provider-error.js';
import type { GatewayAnswer, GatewayRequest } from './transport.js';

/** How long a health check may take. */
const longestMs = 10_000;
const longestList = 16 * 1024 * 1024;

interface HealthCheck {
  readonly endpoint: Endpoint;
  readonly options: ResolvedWexGatewayOptions;
  readonly signal: AbortSignal | undefined;
  readonly closeSignal: AbortSignal;
  send(request: GatewayRequest, target: RequestTarget): Promise<GatewayAnswer>;
  /** What the latest call of the provider came to, if there was one. */
  readonly latestCall: { readonly error: AiProviderError | undefined } | undefined;
}

/**
 * Asks for the list of models, which costs nothing, and whether the key may use the models of the row. Never throws.
 */
export async function checkHealth(check: HealthCheck): Promise<ProviderHealth> {
  const { endpoint, options, signal, closeSignal } = check;
  const timeoutMs = Math.min(options.timeoutMs, longestMs);
  let opened: OpenGatewayCall | undefined;
  try {
    opened = openGatewayCall({
      endpoint,
      timeoutMs,
      deadlineMs: timeoutMs,
      maxRetries: 0,
      retryDelayMs: 0,
      signal,
      closeSignal,
    });
    const request = opened.call.request((attempt) => listModels(check, attempt.signal));
    return healthOfList(check, await Promise.race([request, opened.ended]));
  } catch (error) {
    if (!isAiProviderError(error)) return { status: 'unknown', detail: 'The check was aborted.' };
    return hasNoList(error) ? healthOfLatestCall(check) : { status: 'unhealthy', detail: error.message };
  } finally {
    opened?.close();
  }
}

/** The ids of the models, or undefined if the answer is JSON but no such list. */
async function listModels({ send }: HealthCheck, signal: AbortSignal): Promise<ReadonlySet<string> | undefined> {
  const target: RequestTarget = { model: '', path: '/models', parameters: [], inputs: [] };
  const { body, headers } = await send({ method: 'GET', path: '/models', signal }, target);
  const text = await readText(body, longestList);
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw new UnreadableBody(false, headers, text.trimStart().startsWith('<'));
  }
  const failure = failureInside(list, ['data']);
  if (failure !== undefined) throw new ReportedFailure(failure, headers, target);
  const data = isRecord(list) ? list.data : undefined;
  if (!Array.isArray(data)) return undefined;
  return new Set(data.flatMap((model) => (typeof model?.id === 'string' ? [model.id] : [])));
}

function healthOfList(
  { endpoint, options, latestCall }: HealthCheck,
  models: ReadonlySet<string> | undefined,
): ProviderHealth {
  const lists = `${endpoint.host} answered a request for its list of models`;
  if (models === undefined) return { status: 'unknown', detail: `${lists} with something else than a list.` };
  const error = latestCall?.error;
  if (error !== undefined && lastingCodes.has(error.code)) {
    return { status: 'unhealthy', detail: `${lists}, but the latest call failed: ${error.message}` };
  }
  const names = new Set([...models].map(plainModelName));
  const missing = options.modelNames.filter((model) => models.size > 0 && !names.has(plainModelName(model)));
  // A gateway may take names that its list does not have, such as aliases: a call that was answered shows that.
  const isSuspect = missing.length > 0 && missing.length === options.modelNames.length;
  if (!isSuspect || (latestCall !== undefined && error === undefined))
    return { status: 'healthy', detail: `${lists}.` };
  const without = `${lists}, which does not name ${missing.join(' or ')}`;
  return error === undefined
    ? { status: 'unknown', detail: `${without}; nothing was asked of it yet.` }
    : { status: 'unhealthy', detail: `${without}; the latest call failed: ${error.message}` };
}

/** What the next call is sure to meet as well, until somebody acts. */
const lastingCodes: ReadonlySet<AiProviderErrorCode> = new Set(['authentication_failed', 'quota_exceeded']);

/** A key may be good for models and not for the list of them. */
function hasNoList(error: AiProviderError): boolean {
  const { status } = error as ProviderError;
  if (status === 401) return false;
  return (
    status === 403 || status === 404 || status === 405 || ['model_unavailable', 'input_refused'].includes(error.code)
  );
}

function healthOfLatestCall({ endpoint, latestCall }: HealthCheck): ProviderHealth {
  const noList = `${endpoint.host} is reachable but gives no list of models`;
  if (latestCall === undefined) {
    return { status: 'unknown', detail: `${noList}, and nothing was asked of it yet.` };
  }
  const { error } = latestCall;
  return error === undefined
    ? { status: 'healthy', detail: `${noList}; the latest call succeeded.` }
    : { status: 'unhealthy', detail: `${noList}; the latest call failed: ${error.message}` };
}
