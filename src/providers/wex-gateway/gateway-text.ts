import type { TextOptions, TextResult } from '../../core/text-provider.js';
import { tokenCount } from './embedding-response.js';
import type { GatewayConnection } from './gateway-connection.js';
import { requestIdOf, unusableResponse } from './to-provider-error.js';

/** `POST /chat/completions`. */
export class GatewayText {
  readonly #connection: GatewayConnection;

  constructor(connection: GatewayConnection) {
    this.#connection = connection;
  }

  async generate(prompt: string, options: TextOptions): Promise<TextResult> {
    const { endpoint } = this.#connection;
    const model = options.model ?? this.#connection.options.textModel;
    return this.#connection.run(options.signal, 1, async (call) => {
      const startedAt = performance.now();
      const client = await this.#connection.client();
      const request = this.#request(model, prompt, options);
      const { data, response, attempt } = await call.request(async (attempt) => ({
        ...(await client.chat.completions.create(request, { signal: attempt.signal }).withResponse()),
        attempt,
      }));
      const requestId = requestIdOf(response.headers, endpoint);
      const usage = {
        inputTokens: tokenCount(data?.usage?.prompt_tokens),
        outputTokens: tokenCount(data?.usage?.completion_tokens),
      };
      await this.#connection.recordUsage({
        operation: 'text_generation',
        model,
        inputCount: 1,
        ...usage,
        metadata: {
          requestId: requestId ?? null,
          attempt: attempt.number,
          durationMs: Math.round(performance.now() - startedAt),
        },
      });
      const choice = Array.isArray(data?.choices) ? data.choices[0] : undefined;
      if (typeof choice?.message !== 'object') throw unusableResponse('no choice', endpoint, requestId);
      return { text: choice.message.content ?? '', model, finishReason: choice.finish_reason ?? null, usage };
    });
  }

  /** Only what the API knows: a row's other keys are never sent on. */
  #request(model: string, prompt: string, options: TextOptions) {
    const temperature = options.temperature ?? this.#connection.options.temperature;
    const maxTokens = options.maxTokens ?? this.#connection.options.maxTokens;
    return {
      model,
      messages: [
        ...(options.system === undefined ? [] : [{ role: 'system' as const, content: options.system }]),
        { role: 'user' as const, content: prompt },
      ],
      ...(temperature === undefined ? {} : { temperature }),
      ...(maxTokens === undefined ? {} : maxTokensParameter(model, maxTokens)),
      ...(options.stop === undefined ? {} : { stop: [...options.stop] }),
    };
  }
}

/** OpenAI's reasoning models refuse `max_tokens`; most other servers know nothing else. */
function maxTokensParameter(model: string, maxTokens: number) {
  return /(^|[-/])(o\d|gpt-[5-9])/i.test(model) ? { max_completion_tokens: maxTokens } : { max_tokens: maxTokens };
}
