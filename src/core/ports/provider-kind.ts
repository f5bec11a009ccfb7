import type { EmbeddingProvider } from './embedding-provider.js';
import type { Integration } from './integration-repository.js';
import type { Logger } from './logger.js';
import type { TextProvider } from './text-provider.js';
import type { UsageRecorder } from './usage-recorder.js';

/** What a provider is asked for. */
export type Operation = 'embedding' | 'text';

/** A provider made from an integration: always embeddings, text if it has `generateText`. */
export type AiProvider = EmbeddingProvider & Partial<TextProvider>;

export interface ProviderContext {
  readonly integration: Integration;
  /** Bound to the integration's tenant; called after every answered request. */
  readonly usageRecorder: UsageRecorder;
  readonly logger?: Logger | undefined;
}

/**
 * How rows with one value of `integrations.provider` become provider objects. Each adapter exports one; a host may add
 * its own.
 */
export interface ProviderKind {
  /** The value of `integrations.provider`. */
  readonly name: string;
  /** Whether it runs in this process and costs nothing: `auto` sends it the small calls. */
  readonly isLocal: boolean;
  readonly operations: readonly Operation[];
  /**
   * Whether the row's own model is made for the operation. Rows whose model is not are asked only if there is no other.
   * Absent: it always is.
   */
  isMadeFor?(integration: Integration, operation: Operation): boolean;
  /** Whether a call that names a model may go to the row. Absent: every model may be asked for. */
  hasModel?(integration: Integration, model: string): boolean;
  /**
   * What an administrator should know of the row: a sentence for each key without a meaning and each value in a wrong
   * unit.
   */
  reviewRow?(integration: Integration): readonly string[];
  /**
   * Makes the provider. No network, no model load: both wait for the first call.
   *
   * @throws `AiProviderError` with code `invalid_config` or `credential_invalid` for a row that cannot work.
   */
  create(context: ProviderContext): AiProvider | Promise<AiProvider>;
}
