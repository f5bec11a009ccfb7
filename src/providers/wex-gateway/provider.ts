import type { DeclaredEmbeddingSpace } from '../../core/embedding-space.js';
import type { CallOptions } from '../../core/ports/call-options.js';
import type {
  EmbeddingOptions,
  EmbeddingProvider,
  EmbeddingResult,
  ProviderHealth,
} from '../../core/ports/embedding-provider.js';
import type { StandardSchema } from '../../core/ports/standard-schema.js';
import type { TextChunk, TextOptions, TextPrompt, TextProvider, TextResult } from '../../core/ports/text-provider.js';
import { ProviderError } from '../../errors.js';
import { requireOptions } from '../../internal/call-options.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { leavableGenerator } from '../../internal/leavable-generator.js';
import { memoizeAsync } from '../../internal/memoize-async.js';
import { requireFunction, requireNonEmptyString, requireTexts } from '../../internal/validate.js';
import type { Gateway } from './open-gateway.js';
import { resolveWexGatewayOptions, type WexGatewayOptions } from './options.js';
import { textOptionRules } from './text/checks.js';

const callKeys = { signal: true, purpose: true, hasFallback: true, usageRecorder: true };
const embeddingKeys = { ...callKeys, model: true, inputType: true, truncate: true, onBatch: true };
const textKeys = { ...callKeys, ...textOptionRules };

/**
 * Embeddings and text from the WEX AI Gateway, or from any other server that speaks the OpenAI API: OpenAI, Azure,
 * LiteLLM, vLLM, Ollama, …
 *
 * @example
 * const provider = new WexGatewayProvider({ baseUrl: 'https://gateway.example/v1', apiKey });
 * const { embeddings } = await provider.generateEmbeddings(['first text', 'second text']);
 * const { text } = await provider.generateText('Say hello.', { maxTokens: 20 });
 * await provider.close();
 */
export class WexGatewayProvider implements EmbeddingProvider, TextProvider {
  readonly id: string;
  readonly #gateway: () => Promise<Gateway>;
  #isOpened = false;
  #closed: ProviderError | undefined;

  /**
   * @throws `InvalidInputError` for an option that cannot be used. Nothing is loaded and no request made before the
   * first call.
   */
  constructor(options: WexGatewayOptions) {
    const resolved = resolveWexGatewayOptions(options);
    this.id = resolved.id;
    this.#gateway = memoizeAsync(async () => {
      this.#isOpened = true;
      const { openGateway } = await import('./open-gateway.js');
      const gateway = openGateway(resolved);
      if (this.#closed !== undefined) gateway.connection.close(this.#closed);
      return gateway;
    });
  }

  /**
   * From the environment: `WEX_AI_GATEWAY_BASE_URL`, `WEX_AI_GATEWAY_API_KEY` and, if set,
   * `WEX_AI_GATEWAY_EMBEDDING_MODEL` and `WEX_AI_GATEWAY_TEXT_MODEL`.
   *
   * @throws `InvalidInputError` if one of the first two is missing.
   */
  static fromEnv(options: Partial<WexGatewayOptions> = {}): WexGatewayProvider {
    const env = process.env;
    return new WexGatewayProvider({
      embeddingModel: env.WEX_AI_GATEWAY_EMBEDDING_MODEL || undefined,
      textModel: env.WEX_AI_GATEWAY_TEXT_MODEL || undefined,
      ...options,
      baseUrl: options.baseUrl ?? requireNonEmptyString(env.WEX_AI_GATEWAY_BASE_URL, 'WEX_AI_GATEWAY_BASE_URL'),
      apiKey:
        options.apiKey !== undefined
          ? options.apiKey
          : requireNonEmptyString(env.WEX_AI_GATEWAY_API_KEY, 'WEX_AI_GATEWAY_API_KEY'),
    });
  }

  /** Its dimension is null until it is configured or the first vector came. */
  async embeddingSpace(options: Pick<EmbeddingOptions, 'model' | 'signal'> = {}): Promise<DeclaredEmbeddingSpace> {
    requireOptions(options);
    options.signal?.throwIfAborted();
    return (await this.#gateway()).embeddings.declaredSpace(options.model);
  }

  /**
   * @returns `texts.length` vectors, in the order of the texts. No texts: no request, and the dimension of the space
   * is 0 if it is not known yet.
   * @throws `InvalidInputError` before any request. `PartialEmbeddingError` with the vectors that were paid for, if
   * some inputs
   *   failed. `ProviderError` of the cause if nothing succeeded.
   */
  async generateEmbeddings(texts: readonly string[], options: EmbeddingOptions = {}): Promise<EmbeddingResult> {
    requireOptions(options);
    options.signal?.throwIfAborted();
    requireKnownKeys<EmbeddingOptions>(options, embeddingKeys);
    if (options.model !== undefined) requireNonEmptyString(options.model, 'model');
    if (options.onBatch !== undefined) requireFunction(options.onBatch, 'onBatch');
    // A copy: the caller may change the list while the call runs.
    const ownTexts = [...requireTexts(texts)];
    return (await this.#gateway()).embeddings.generate(ownTexts, options);
  }

  /**
   * @example
   * const { output } = await provider.generateText('Name a colour.', { schema: z.object({ colour: z.string() }) });
   * output.colour // typed, and validated
   * @throws `InvalidInputError` before any request; `ProviderError` with the status and the number of attempts, with
   * code `invalid_response`
   *   if the text does not satisfy `schema`.
   */
  generateText<Output>(
    prompt: TextPrompt,
    options: TextOptions & { readonly schema: StandardSchema<Output>; readonly tools?: undefined },
  ): Promise<TextResult & { readonly output: Output }>;
  generateText(prompt: TextPrompt, options?: TextOptions): Promise<TextResult>;
  async generateText(prompt: TextPrompt, options: TextOptions = {}): Promise<TextResult> {
    requireOptions(options);
    requireKnownKeys<TextOptions>(options, textKeys);
    options.signal?.throwIfAborted();
    return (await this.#gateway()).text.generate(prompt, options);
  }

  /**
   * Streams a text as it is generated. The request is made when the iteration begins and closed when it is left,
   * however it is left. `timeoutMs` limits each silence of the server; only what fails before the first event is
   * tried again.
   *
   * @example
   * for await (const chunk of provider.streamText('Tell a story.')) {
   *   if (chunk.type === 'text') process.stdout.write(chunk.text);
   *   else console.log(chunk.result.finishReason, chunk.result.usage);
   * }
   */
  streamText(prompt: TextPrompt, options: TextOptions = {}): AsyncGenerator<TextChunk, void, undefined> {
    requireOptions(options);
    requireKnownKeys<TextOptions>(options, textKeys);
    return leavableGenerator(options.signal, (signal) => this.#stream(prompt, { ...options, signal }));
  }

  /** Asks for the list of models, which costs nothing. A server without such a list is judged by the latest call. */
  async health(options: CallOptions = {}): Promise<ProviderHealth> {
    requireOptions(options);
    return (await this.#gateway()).connection.health(options.signal);
  }

  async close(): Promise<void> {
    this.#closed ??= new ProviderError(`${this.id} was closed.`, { code: 'aborted_by_close', provider: this.id });
    if (this.#isOpened) (await this.#gateway()).connection.close(this.#closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async *#stream(prompt: TextPrompt, options: TextOptions): AsyncGenerator<TextChunk, void, undefined> {
    yield* (await this.#gateway()).text.stream(prompt, options);
  }
}
