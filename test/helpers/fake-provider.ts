import type { EmbeddingSpace } from '#src/core/embedding-space.js';
import type { EmbeddingOptions, EmbeddingResult } from '#src/core/ports/embedding-provider.js';
import type { Integration } from '#src/core/ports/integration-repository.js';
import type { AiProvider, ProviderContext, ProviderKind } from '#src/core/ports/provider-kind.js';
import type { TextChunk, TextResult } from '#src/core/ports/text-provider.js';

export function spaceOf(model: string, dimension: number): EmbeddingSpace {
  return { model, revision: null, dimension, pooling: null, prompts: null, normalized: null, dtype: null };
}

export function integrationOf(fields: Partial<Integration> & Pick<Integration, 'id' | 'provider'>): Integration {
  return {
    tenantId: 1,
    baseUrl: null,
    password: null,
    aiModel: null,
    aiModelConfig: {},
    costConfig: {},
    fallbackIntegrationId: null,
    active: true,
    ...fields,
  };
}

/** A provider in memory whose calls are recorded and whose behaviour a test may replace. */
export class FakeProvider implements AiProvider {
  readonly id: string;
  readonly model: string;
  readonly embeddingCalls: { texts: readonly string[]; options: EmbeddingOptions }[] = [];
  readonly textCalls: string[] = [];
  closeCount = 0;
  onEmbed: ((texts: readonly string[]) => Promise<void>) | undefined;
  onText: (() => Promise<void>) | undefined;
  readonly #dimension: number;
  readonly #context: ProviderContext;
  readonly #declaresDimension: boolean;

  constructor(context: ProviderContext, dimension: number, declaresDimension: boolean) {
    this.#context = context;
    this.#dimension = dimension;
    this.#declaresDimension = declaresDimension;
    this.id = `${context.integration.provider}:${context.integration.id}`;
    this.model = context.integration.aiModel ?? context.integration.provider;
  }

  async embeddingSpace(options: { model?: string | undefined } = {}) {
    const space = spaceOf(options.model ?? this.model, this.#dimension);
    return this.#declaresDimension ? space : { ...space, dimension: null };
  }

  async generateEmbeddings(texts: readonly string[], options: EmbeddingOptions = {}): Promise<EmbeddingResult> {
    this.embeddingCalls.push({ texts, options });
    await this.onEmbed?.(texts);
    return this.resultFor(texts, options.model);
  }

  async resultFor(texts: readonly string[], model = this.model): Promise<EmbeddingResult> {
    const usage = { inputCount: texts.length, inputTokens: 7 * texts.length };
    await this.#context.usageRecorder.record({ operation: 'embedding', model, ...usage, outputTokens: 0 });
    return {
      embeddings: texts.map((text) => new Float32Array(this.#dimension).fill(text.length)),
      embeddingSpace: spaceOf(model, this.#dimension),
      model,
      usage,
    };
  }

  async generateText(prompt: string): Promise<TextResult> {
    this.textCalls.push(prompt);
    await this.onText?.();
    const usage = { inputTokens: 10, outputTokens: 5 };
    await this.#context.usageRecorder.record({
      operation: 'text_generation',
      model: this.model,
      inputCount: 1,
      ...usage,
    });
    return { text: `answer of ${this.id}`, model: this.model, finishReason: 'stop', usage };
  }

  async *streamText(prompt: string): AsyncGenerator<TextChunk> {
    const result = await this.generateText(prompt);
    for (const text of result.text.split(' ')) yield { type: 'text', text };
    yield { type: 'end', result };
  }

  async health() {
    return { status: 'healthy', detail: 'It is a fake.' } as const;
  }

  async close() {
    this.closeCount++;
  }
}

export interface FakeKind extends ProviderKind {
  /** Every provider that was made, in order. */
  readonly made: FakeProvider[];
  provider(integrationId: number): FakeProvider;
}

export function fakeKind(
  name: string,
  {
    isLocal = false,
    dimension = 4,
    declaresDimension = true,
    generatesText = !isLocal,
  }: { isLocal?: boolean; dimension?: number; declaresDimension?: boolean; generatesText?: boolean } = {},
): FakeKind {
  const made: FakeProvider[] = [];
  return {
    name,
    isLocal,
    operations: generatesText ? ['embedding', 'text'] : ['embedding'],
    made,
    provider: (integrationId) => made.findLast((provider) => provider.id === `${name}:${integrationId}`)!,
    create: (context) => {
      const provider = new FakeProvider(context, dimension, declaresDimension);
      if (!generatesText)
        Object.defineProperties(provider, { generateText: { value: undefined }, streamText: { value: undefined } });
      made.push(provider);
      return provider;
    },
  };
}
