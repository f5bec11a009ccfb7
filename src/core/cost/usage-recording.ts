import { randomUUID } from 'node:crypto';
import type { AccountEntry } from '../calls/account.js';
import { Call } from '../calls/call.js';
import type { UsageRecord } from '../ports/integration-repository.js';
import type { Logger } from '../ports/logger.js';
import type { PriceSource } from '../ports/price-source.js';
import type { UsageEvent, UsageRecorder } from '../ports/usage-recorder.js';
import type { Candidate } from '../routing/candidate.js';
import { ColumnRounding, type Cost, calculateCost, costOf, parseReportedCost } from './cost.js';
import { type Price, readCataloguePrice } from './prices.js';
import type { UsageOutbox } from './usage-outbox.js';

export interface UsageRecordingOptions {
  readonly outbox: UsageOutbox;
  /** A call waits until its own rows are written, instead of leaving that to the background. */
  readonly isWriteThrough: boolean;
  readonly priceSource?: PriceSource | undefined;
  readonly logger?: Logger | undefined;
}

/** Texts that needed no request. */
export interface ReusedTexts {
  /** `cache`: their vectors were kept, or another call made them. `unchanged`: their records were stored already. */
  readonly reason: 'cache' | 'unchanged';
  readonly textCount: number;
  /** Estimated. */
  readonly tokens: number;
  readonly model: string;
}

/** The most that a call waits for its own rows, in milliseconds. */
const writeThroughMs = 5_000;
/** No request has more tokens. */
const mostTokens = 1e12;
const longestMetadata = 16_384;

/** Turns what providers report into entries of the call's account and rows of the outbox: the same figures in both. */
export class UsageRecording {
  readonly #options: UsageRecordingOptions;
  readonly #rounding = new ColumnRounding();
  #isCatalogueReported = false;

  constructor(options: UsageRecordingOptions) {
    this.#options = options;
  }

  /**
   * A recorder for the requests of one provider.
   *
   * @param call - The call that they belong to. Without one, the call of the asynchronous context, if there is one.
   */
  recorderFor(candidate: Candidate, call?: Call): UsageRecorder {
    return {
      record: async (event) => {
        try {
          await this.#record(event, candidate, call ?? Call.current);
        } catch (error) {
          // A vector that was paid for is not lost because its bookkeeping failed.
          this.#options.logger?.error({ error, integrationId: candidate.integration.id }, 'Usage was not recorded.');
        }
      },
    };
  }

  /**
   * Enters texts that needed no request: they cost nothing, and the row says what they would have cost. Never throws.
   */
  recordReuse(candidate: Candidate, call: Call | undefined, tenantId: number, reuse: ReusedTexts): string | null {
    const { integration, kind, prices } = candidate;
    const { reason, textCount, tokens, model } = reuse;
    const saved = calculateCost(prices, model, { inputTokens: tokens, outputTokens: 0 }) ?? (kind.isLocal ? '0' : null);
    const usage: UsageRecord = {
      provider: integration.provider,
      operation: 'embedding',
      modelName: model,
      inputCount: textCount,
      inputTokens: 0,
      outputTokens: 0,
      cost: '0.0000',
      requestMetadata: {
        usage_id: randomUUID(),
        ...(call === undefined ? {} : { call_id: call.id, purpose: call.purpose }),
        integration_id: integration.id,
        cost_usd: '0',
        reuse: reason,
        saved_tokens: tokens,
        saved_cost_usd: saved,
        ...(call === undefined || Object.keys(call.tags).length === 0 ? {} : { tags: call.tags }),
      },
      occurredAt: new Date(),
    };
    call?.account.enter({ integrationId: integration.id, cost: '0', costSource: 'row', usage });
    this.#options.outbox.enter(tenantId, integration.id, usage);
    return saved;
  }

  async #record(reported: UsageEvent, candidate: Candidate, call: Call | undefined): Promise<void> {
    const { outbox, isWriteThrough } = this.#options;
    const occurredAt = new Date();
    const { integration, kind, prices } = candidate;
    const { id: integrationId, tenantId } = integration;
    const event = readEvent(reported, kind.isLocal);
    const basis = { prices, isLocal: kind.isLocal };
    let cost = costOf(event, basis);
    const cataloguePrice = cost.amount === null ? await this.#cataloguePrice(candidate, event.model) : undefined;
    if (cataloguePrice !== undefined) cost = costOf(event, { ...basis, cataloguePrice });
    const usage: UsageRecord = {
      provider: integration.provider,
      operation: call?.operation === 'analysis' && event.operation === 'text_generation' ? 'analysis' : event.operation,
      modelName: event.model,
      inputCount: event.inputCount,
      inputTokens: event.inputTokens,
      outputTokens: event.outputTokens,
      cost: cost.amount === null ? null : this.#rounding.round(tenantId, cost.amount),
      requestMetadata: metadataOf(event, cost, integrationId, call),
      occurredAt,
    };
    const entry: AccountEntry = { integrationId, cost: cost.amount, costSource: cost.source, usage };
    if (call?.tenantId === tenantId) call.account.enter(entry);
    const row = outbox.enter(tenantId, integrationId, usage);
    if (!isWriteThrough) return;
    await outbox.writeThrough(row, Math.min(writeThroughMs, call?.leftMs ?? writeThroughMs), call?.signal);
  }

  async #cataloguePrice({ integration, kind }: Candidate, model: string): Promise<Price | undefined> {
    if (kind.isLocal) return undefined;
    const { provider, baseUrl } = integration;
    try {
      return readCataloguePrice(await this.#options.priceSource?.findPrice({ provider, model, baseUrl }));
    } catch (error) {
      if (!this.#isCatalogueReported) this.#options.logger?.warn({ error }, 'The catalogue of prices cannot be used.');
      this.#isCatalogueReported = true;
      return undefined;
    }
  }
}

/** Counts that cannot be are unknown. So is a usage of zeros for an input that is there. */
function readEvent(event: UsageEvent, isLocal: boolean): UsageEvent {
  const inputTokens = readCount(event.inputTokens);
  const outputTokens = readCount(event.outputTokens);
  const isUnsaid = !isLocal && event.inputCount > 0 && inputTokens === 0 && !outputTokens;
  const part = (count: unknown) => readCount(count) ?? undefined;
  return {
    ...event,
    inputCount: readCount(event.inputCount) ?? 0,
    inputTokens: isUnsaid ? null : inputTokens,
    outputTokens: isUnsaid && event.operation !== 'embedding' ? null : outputTokens,
    cachedInputTokens: part(event.cachedInputTokens),
    cacheWriteTokens: part(event.cacheWriteTokens),
    reasoningTokens: part(event.reasoningTokens),
    audioInputTokens: part(event.audioInputTokens),
    audioOutputTokens: part(event.audioOutputTokens),
  };
}

function readCount(count: unknown): number | null {
  const number = typeof count === 'bigint' ? Number(count) : count;
  return typeof number === 'number' && Number.isInteger(number) && number >= 0 && number <= mostTokens ? number : null;
}

function metadataOf(event: UsageEvent, cost: Cost, integrationId: number, call: Call | undefined) {
  const reported = parseReportedCost(event.reportedCost);
  const facts = {
    usage_id: randomUUID(),
    call_id: call?.id,
    integration_id: integrationId,
    cost_usd: cost.amount,
    cost_source: cost.source,
    reported_cost_usd: reported === null || reported === cost.amount ? undefined : reported,
    cached_input_tokens: event.cachedInputTokens,
    cache_write_tokens: event.cacheWriteTokens,
    reasoning_tokens: event.reasoningTokens,
    audio_input_tokens: event.audioInputTokens,
    audio_output_tokens: event.audioOutputTokens,
    is_estimate: event.isEstimate || undefined,
    purpose: call?.purpose,
    tags: call === undefined || Object.keys(call.tags).length === 0 ? undefined : call.tags,
  };
  const known = Object.entries(facts).filter(([, value]) => value !== undefined);
  return { ...readFacts(event.metadata), ...Object.fromEntries(known) };
}

/** A copy of what a provider says besides, as JSON can hold it. A kind of the host may hand over anything. */
function readFacts(metadata: unknown): Record<string, unknown> {
  if (metadata === undefined) return {};
  try {
    const json = JSON.stringify(metadata, (_, field: unknown) => (typeof field === 'bigint' ? String(field) : field));
    if (json.length > longestMetadata) return { metadata_left_out: `${json.length} characters` };
    const copy: unknown = JSON.parse(json);
    return typeof copy === 'object' && copy !== null && !Array.isArray(copy) ? (copy as Record<string, unknown>) : {};
  } catch {
    return { metadata_left_out: 'not JSON' };
  }
}
