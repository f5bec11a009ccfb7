import { SentenceTransformersProvider } from '@pulse/ai-providers';

export const dynamic = 'force-dynamic';

/** Embeds in this process, in worker threads. */
export async function GET() {
  const provider = new SentenceTransformersProvider({ cacheFolder: process.env.MODEL_CACHE, isOffline: true });
  try {
    const { embeddings } = await provider.generateEmbeddings(['a text']);
    return Response.json({ dimension: embeddings[0].length });
  } finally {
    await provider.close();
  }
}
