// What a host reads that has not installed the optional package of the part that it uses.
import { PulseQdrantClient, SentenceTransformersProvider } from '@pulse/ai-providers';

const local = new SentenceTransformersProvider({ cacheFolder: new URL('./empty-cache', import.meta.url).pathname });
const qdrant = new PulseQdrantClient({ host: '127.0.0.1' });
for (const call of [() => local.generateEmbeddings(['text']), () => qdrant.searchSimilar(1, 'notes', [1, 0])]) {
  try {
    await call();
    console.log('It worked.');
  } catch ({ code, packageName, message }) {
    console.log(JSON.stringify({ code, packageName, message }));
  }
}
await local.close();
await qdrant.close();
