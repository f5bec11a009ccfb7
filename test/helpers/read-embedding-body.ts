import { EmbeddingBodyReader, type ParsedBody } from '#src/providers/wex-gateway/embeddings/body.js';

/** Reads a body that comes in chunks of these sizes, over and over. */
export function readEmbeddingBody(text: string, chunkSizes: readonly number[] = [65_536]): ParsedBody {
  const reader = new EmbeddingBodyReader();
  const bytes = Buffer.from(text);
  // One memory for all chunks: the reader must not hold on to what it was given.
  const chunk = Buffer.alloc(Math.max(...chunkSizes));
  for (let start = 0, turn = 0; start < bytes.length; turn++) {
    const size = bytes.copy(chunk, 0, start, start + (chunkSizes[turn % chunkSizes.length] ?? 1));
    reader.write(chunk.subarray(0, size));
    start += size;
  }
  return reader.end();
}
