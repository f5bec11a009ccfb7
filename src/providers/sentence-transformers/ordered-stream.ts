/** Texts are handed on in chunks of at most so many texts and characters. */
const maxTextsPerChunk = 256;
const maxCharactersPerChunk = 200_000;
/** So many chunks are under way: enough to keep all workers busy, and what bounds the memory. */
const chunksAhead = 4;

/**
 * Maps a stream chunk by chunk, several at a time, and yields the results in the order of the input. Reads no further ahead than
 * `chunksAhead` chunks, so its memory does not grow with the stream.
 */
export async function* orderedStream<Result>(
  texts: Iterable<string> | AsyncIterable<string>,
  map: (chunk: readonly string[], firstPosition: number) => Promise<readonly Result[]>,
): AsyncGenerator<Result, void, undefined> {
  const underWay: Promise<readonly Result[]>[] = [];
  const start = (chunk: readonly string[], firstPosition: number): void => {
    const result = map(chunk, firstPosition);
    // Awaited in order below; until then a failure must not count as unhandled.
    result.catch(() => {});
    underWay.push(result);
  };
  let chunk: string[] = [];
  let characters = 0;
  let position = 0;
  for await (const text of texts) {
    chunk.push(text);
    characters += typeof text === 'string' ? text.length : 0;
    if (chunk.length < maxTextsPerChunk && characters < maxCharactersPerChunk) continue;
    start(chunk, position);
    position += chunk.length;
    chunk = [];
    characters = 0;
    if (underWay.length >= chunksAhead) yield* await underWay.shift()!;
  }
  if (chunk.length > 0) start(chunk, position);
  for (const result of underWay) yield* await result;
}
