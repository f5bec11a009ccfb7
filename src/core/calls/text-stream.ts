import { ProviderError } from '../../errors.js';
import type { AiProvider } from '../ports/provider-kind.js';
import type { TextChunk, TextOptions, TextPrompt, TextResult } from '../ports/text-provider.js';
import type { Pass } from '../routing/provider-gate.js';

/** A stream that has begun: its provider answered, so that nobody else is asked any more. */
export interface OpenStream {
  readonly first: IteratorResult<TextChunk>;
  readonly rest: AsyncIterator<TextChunk>;
  /** Told how the stream ended. */
  readonly pass: Pass;
}

/** Waits for the first chunk: until then another provider may still take over. */
export async function openStream(
  pass: Pass,
  prompt: TextPrompt,
  options: TextOptions,
  run: <Result>(work: () => Result) => Result,
): Promise<OpenStream> {
  try {
    const rest = inContext(streamOf(pass.provider, prompt, options), run);
    return { first: await rest.next(), rest, pass };
  } catch (error) {
    pass.settle(error);
    throw error;
  }
}

/** The chunks of the stream, the result at its end enriched. A stream that breaks off counts against its provider. */
export async function* readStream<Result extends TextResult>(
  { first, rest, pass }: OpenStream,
  enrich: (result: TextResult) => Result,
): AsyncGenerator<TextChunk<Result>, void, undefined> {
  try {
    for (let next = first; !next.done; next = await rest.next()) {
      const chunk = next.value;
      yield chunk.type === 'end' ? { ...chunk, result: enrich(chunk.result) } : chunk;
    }
  } catch (error) {
    pass.settle(error);
    throw error;
  } finally {
    // Also of a stream that was left: its provider did answer.
    pass.settle();
    await rest.return?.();
  }
}

function streamOf(provider: AiProvider, prompt: TextPrompt, options: TextOptions): AsyncIterator<TextChunk> {
  if (provider.streamText !== undefined) return provider.streamText(prompt, options)[Symbol.asyncIterator]();
  throw new ProviderError(`The provider ${provider.id} cannot stream text.`, {
    code: 'unsupported_operation',
    provider: provider.id,
  });
}

/** Every step of a generator runs in the asynchronous context of who asks for it, and that is the reader's. */
function inContext<Value>(
  iterator: AsyncIterator<Value>,
  run: <Result>(work: () => Result) => Result,
): AsyncIterator<Value> {
  return {
    next: () => run(() => iterator.next()),
    return: async (value) => run(() => iterator.return?.(value)) ?? { done: true, value },
  };
}
