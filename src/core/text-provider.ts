export interface TextOptions {
  /** A model in place of the integration's own. */
  readonly model?: string | undefined;
  /** Instructions that stand before the prompt. */
  readonly system?: string | undefined;
  /** 0 to 2. @default the integration's `temperature`, or else the model's own */
  readonly temperature?: number | undefined;
  /** The most tokens to generate. @default the integration's `max_tokens`, or else the model's own */
  readonly maxTokens?: number | undefined;
  /** Up to four strings that end the text where they would appear. */
  readonly stop?: readonly string[] | undefined;
  /** Ends the call; its reason is rethrown untouched. */
  readonly signal?: AbortSignal | undefined;
}

export interface TextUsage {
  /** Tokens as the provider counted them, or null where it did not say. */
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
}

export interface TextResult {
  readonly text: string;
  /** The model that was asked. */
  readonly model: string;
  /** Why the text ended: `stop`, `length`, `content_filter`, …; null where the provider did not say. */
  readonly finishReason: string | null;
  readonly usage: TextUsage;
}

/** Continues a prompt. A provider of embeddings that also has this method can serve text. */
export interface TextProvider {
  readonly id: string;

  /** @throws `ProviderError` with the status and the number of attempts. */
  generateText(prompt: string, options?: TextOptions): Promise<TextResult>;
}
