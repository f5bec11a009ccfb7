import Big from 'big.js';
import type { TokenCounts } from '../../../core/cost/cost.js';
import type { UsageEvent } from '../../../core/ports/usage-recorder.js';
import { isRecord } from '../../../internal/validate.js';

/** The token counts of an answer, and what it cost if the gateway says so. */
export type ReportedUsage = TokenCounts & Pick<UsageEvent, 'reportedCost'>;

export const unknownUsage: ReportedUsage = { inputTokens: null, outputTokens: null };

/** Reads the `usage` of an answer, also of an unusable one: it was paid for. */
export function readUsage(usage: unknown): ReportedUsage {
  if (!isRecord(usage)) return unknownUsage;
  const inputDetails = record(usage.prompt_tokens_details ?? usage.input_tokens_details);
  const outputDetails = record(usage.completion_tokens_details ?? usage.output_tokens_details);
  const input = tokenCount(usage.prompt_tokens) ?? tokenCount(usage.input_tokens);
  const output = tokenCount(usage.completion_tokens) ?? tokenCount(usage.output_tokens);
  const reasoning = tokenCount(outputDetails.reasoning_tokens) ?? tokenCount(usage.reasoning_tokens);
  return withoutUndefined({
    // No request has no input: zeros are what some gateways put in place of what they do not know.
    inputTokens: input === 0 ? null : input,
    outputTokens: withReasoning(output, reasoning, input, tokenCount(usage.total_tokens)),
    cachedInputTokens:
      tokenCount(inputDetails.cached_tokens) ??
      tokenCount(usage.prompt_cache_hit_tokens) ??
      tokenCount(usage.cache_read_input_tokens) ??
      undefined,
    cacheWriteTokens:
      tokenCount(inputDetails.cache_creation_tokens) ??
      tokenCount(inputDetails.cache_write_tokens) ??
      tokenCount(usage.cache_creation_input_tokens) ??
      undefined,
    reasoningTokens: reasoning ?? undefined,
    audioInputTokens: tokenCount(inputDetails.audio_tokens) ?? undefined,
    audioOutputTokens: tokenCount(outputDetails.audio_tokens) ?? undefined,
    reportedCost: decimal(usage.cost),
  });
}

/** xAI, and Gemini behind gateways, count tokens of reasoning on top of the others: only the total shows it. */
function withReasoning(output: number | null, reasoning: number | null, input: number | null, total: number | null) {
  if (output === null || reasoning === null || input === null) return output;
  return total === input + output + reasoning ? output + reasoning : output;
}

/** What came later wins, but for what it leaves out: usage may come in several parts. */
export function mergeUsage(known: ReportedUsage, more: ReportedUsage): ReportedUsage {
  return {
    ...known,
    ...more,
    inputTokens: more.inputTokens ?? known.inputTokens,
    outputTokens: more.outputTokens ?? known.outputTokens,
  };
}

/** What a gateway's headers say about the price of an answer and about who served it. */
export interface ServedFacts {
  readonly reportedCost?: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** @param servedModel - The model that the body names. */
export function readServedFacts(headers: Headers, askedModel: string, servedModel: unknown): ServedFacts {
  const isFromCache = headers.has('x-litellm-cache-key') && !headers.has('x-litellm-response-cost');
  const cost = isFromCache ? '0' : decimal(headers.get('x-litellm-response-cost'));
  const fallbacks = Number(headers.get('x-litellm-attempted-fallbacks') ?? 0);
  const group = fallbacks > 0 ? headers.get('x-litellm-model-group') : null;
  const option = headers.get('x-portkey-last-used-option-index');
  const served = group ?? (typeof servedModel === 'string' && servedModel !== '' ? servedModel : undefined);
  return {
    ...(cost === undefined ? {} : { reportedCost: cost }),
    metadata: {
      ...(served === undefined || served === askedModel ? {} : { servedModel: served.slice(0, 200) }),
      ...(fallbacks > 0 ? { gatewayFallbacks: fallbacks } : {}),
      ...(option === null ? {} : { gatewayOption: option.slice(0, 100) }),
      ...(isFromCache ? { isFromGatewayCache: true } : {}),
    },
  };
}

export function tokenCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** US dollars as a plain decimal string. */
function decimal(value: unknown): string | undefined {
  const isNumber = typeof value === 'number' && Number.isFinite(value) && value >= 0;
  const isText = typeof value === 'string' && /^\d+(\.\d+)?(e-?\d{1,2})?$/i.test(value.trim());
  return isNumber || isText ? new Big(typeof value === 'string' ? value.trim() : value).toFixed() : undefined;
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function withoutUndefined(usage: ReportedUsage): ReportedUsage {
  return Object.fromEntries(
    Object.entries(usage).filter(([, value]) => value !== undefined),
  ) as unknown as ReportedUsage;
}

/**
 * Around how many tokens a text has, if nobody counted them: 4 characters of English each, and about one a character
 * elsewhere.
 */
export function estimateTokens(texts: readonly string[]): number {
  let plain = 0;
  let other = 0;
  for (const text of texts) {
    for (let at = 0; at < text.length; at++) {
      if (text.charCodeAt(at) < 128) plain++;
      else other++;
    }
  }
  return Math.max(1, Math.ceil(plain / 4 + other));
}
