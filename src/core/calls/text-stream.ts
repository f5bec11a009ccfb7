import { ProviderError } from '../../errors.js';
import type { AiProvider } from '../ports/provider-kind.js';
import type { TextChunk, TextOptions, TextPrompt, TextResult } from '../ports/text-provider.js';

/** A stream that has begun: its provider answered, so that nobody else is asked any more. */
export interface OpenStream {
  readonly first: IteratorResult<TextChunk>;
  readonly rest: AsyncIterator<TextChunk>;
}

/** Waits for the first chunk: until then another provider may still take over. */
export async function openStream(provider: AiProvider, prompt: TextPrompt, options: TextOptions): Promise<OpenStream> {
  if (provider.streamText === undefined) {
    throw new ProviderError(`The provider ${provider.id} cannot stream text.`, {
      code: 'unsupported_operation',
      provider: provider.id,
    });
  }
  const rest = provider.streamText(prompt, options)[Symbol.asyncIterator]();
  return { first: await rest.next(), rest };
}

/** The chunks of the stream, the result at its end enriched. */
export async function* readStream<Result extends TextResult>(
  { first, rest }: OpenStream,
  enrich: (result: TextResult) => Result,
): AsyncGenerator<TextChunk<Result>, void, undefined> {
  try {
    for (let next = first; !next.done; next = await rest.next()) {
      const chunk = next.value;
      yield chunk.type === 'end' ? { ...chunk, result: enrich(chunk.result) } : chunk;
    }
  } finally {
    await rest.return?.();
  }
}
