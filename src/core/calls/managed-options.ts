import type { AiProviderError } from '../../errors.js';
import type { BudgetEvent } from '../cost/budget.js';
import type { BudgetOptions } from '../cost/budget-limits.js';
import type { UsageCounts } from '../cost/usage-outbox.js';
import type { EmbeddingOptions, EmbeddingResult, ProviderHealth } from '../ports/embedding-provider.js';
import type { Logger } from '../ports/logger.js';
import type { TextOptions, TextResult } from '../ports/text-provider.js';
import type { ProviderChoice } from '../routing/call-plan.js';
import type { CircuitBreakerOptions } from '../routing/circuit-breaker.js';
import type { Policy, PolicyName } from '../routing/policy.js';
import type { ProviderFactory } from '../routing/provider-factory.js';
import type { CircuitHealth } from '../routing/provider-gate.js';
import type { CallDescription } from './call.js';
import type { EmbeddingCacheOptions } from './embedding-reuse.js';

export interface HybridProviderManagerOptions {
  /** Stays the host's: close it when the host stops. */
  readonly factory: ProviderFactory;
  readonly logger?: Logger | undefined;
  /** When a failing provider is left alone for a while. */
  readonly circuitBreaker?: Pick<CircuitBreakerOptions, 'failureThreshold' | 'cooldownMs'> | undefined;
  /** Who serves a call, if several could: a rule's name, or a function. @default 'document' */
  readonly policy?: PolicyName | Policy | undefined;
  /** Keeps vectors, so that a text is embedded once. @default none */
  readonly embeddingCache?: EmbeddingCacheOptions | undefined;
  /**
   * How long a call with a single text waits for others like it, in milliseconds, to become one request with them.
   * @default 0, which puts nothing together
   */
  readonly coalesceMs?: number | undefined;
  /** What each tenant may spend whose rows state no budget of their own. @default no limit */
  readonly budget?: BudgetOptions | undefined;
  /** Called once when a tenant has spent 50, 80 and 100 % of a budget. @default none */
  readonly onBudget?: ((event: BudgetEvent) => void) | undefined;
}

/** What every call of the manager takes. */
export interface ManagedCallOptions extends CallDescription {
  /** `'auto'`, or the `provider` column's value: `'wex_ai_gateway'`, `'sentence_transformers'`, … @default 'auto' */
  readonly preferredProvider?: string | undefined;
  /**
   * Lets a fallback use its own model if the call names one: `model` is then only for the first provider. @default true
   */
  readonly allowOtherModel?: boolean | undefined;
}

/** What the manager itself hands to a provider. */
type Internal = 'hasFallback' | 'usageRecorder' | 'purpose' | 'signal';

export interface ManagedEmbeddingOptions extends ManagedCallOptions, Omit<EmbeddingOptions, Internal> {
  /**
   * Only a provider of this embedding space (its `embeddingSpaceId`) may serve the call. For vectors that join or
   * search stored ones.
   */
  readonly requiredSpace?: string | undefined;
  /**
   * Lets a fallback of another embedding space compute **all** texts of the call when the chosen provider is
   * unavailable. Such vectors cannot be compared with those of the first provider: only for vectors that are used by
   * themselves. @default false
   */
  readonly allowOtherSpace?: boolean | undefined;
  /**
   * The vectors begin a table: its space must not depend on how many texts this call happens to have. @default false
   */
  readonly isNewTable?: boolean | undefined;
}

/** Records of a table that were stored already. */
export interface UnchangedRecords extends CallDescription {
  /** The embedding space of the table. */
  readonly requiredSpace: string;
  readonly textCount: number;
  /** Of all their texts. */
  readonly characters: number;
}

export interface ManagedTextOptions extends ManagedCallOptions, Omit<TextOptions, Internal> {
  /** How the usage rows name the call. @default 'text_generation' */
  readonly operation?: 'text_generation' | 'analysis' | undefined;
}

/** Which integration served a call, and what it cost. */
export interface Provenance {
  /** The `provider` column's value, such as `wex_ai_gateway`. */
  readonly provider: string;
  readonly integrationId: number;
  /**
   * Exact US dollars of all requests of the call, also those of providers that failed, as a decimal string; null if the
   * price or the token count of one is unknown.
   */
  readonly cost: string | null;
  /** Which policy chose the provider, and why. */
  readonly choice: ProviderChoice;
  /** Why others did not serve it; empty if the first one did. */
  readonly failedOver: readonly AiProviderError[];
}

export interface ManagedEmbeddingResult extends EmbeddingResult, Provenance {}
export interface ManagedTextResult extends TextResult, Provenance {}

export interface IntegrationSummary {
  readonly integrationId: number;
  readonly provider: string;
  readonly model: string | null;
  /** What an administrator should know of the row, such as keys without a meaning; left out if there is nothing. */
  readonly warnings?: readonly string[] | undefined;
}

export interface IntegrationHealth extends IntegrationSummary, ProviderHealth, CircuitHealth {
  /** The integration's usage rows since the factory was made. */
  readonly usageRows: UsageCounts;
}

/** Every option there is; the compiler sees to it that none is left out. */
export const managerKeys = {
  factory: true,
  logger: true,
  circuitBreaker: true,
  policy: true,
  embeddingCache: true,
  coalesceMs: true,
  budget: true,
  onBudget: true,
} as const;

export const budgetOptionKeys = { dailyUsd: true, monthlyUsd: true, mode: true, timeZone: true } as const;

const callKeys = {
  tenantId: true,
  purpose: true,
  tags: true,
  timeoutMs: true,
  signal: true,
  preferredProvider: true,
  allowOtherModel: true,
  model: true,
} as const;

export const embeddingKeys: Readonly<Record<keyof ManagedEmbeddingOptions, true>> = {
  ...callKeys,
  inputType: true,
  truncate: true,
  onBatch: true,
  requiredSpace: true,
  allowOtherSpace: true,
  isNewTable: true,
};

export const textKeys: Readonly<Record<keyof ManagedTextOptions, true>> = {
  ...callKeys,
  operation: true,
  tier: true,
  system: true,
  temperature: true,
  maxTokens: true,
  stop: true,
  schema: true,
  jsonSchema: true,
  tools: true,
  toolChoice: true,
  topP: true,
  seed: true,
  presencePenalty: true,
  frequencyPenalty: true,
  reasoningEffort: true,
  serviceTier: true,
  parallelToolCalls: true,
  user: true,
  metadata: true,
  strict: true,
  extraBody: true,
  extraQuery: true,
};
