// What a host reads that has not installed the optional package of the part that it uses.
import { PulseQdrantClient, SentenceTransformersProvider } from '@pulse/ai-providers';

const qdrant = new PulseQdrantClient({ host: '127.0.0.1' });
const local = new SentenceTransformersProvider({
  cacheFolder: new URL('./empty-cache', import.meta.url).pathname,
  hubEndpoint: 'http://127.0.0.1:1',
});
for (const call of [() => qdrant.searchSimilar(1, 'notes', [1, 0]), () => local.generateEmbeddings(['text'])]) {
  try {
    await call();
    console.log('It worked.');
  } catch ({ code, packageName, isRetryable, message, cause }) {
    console.log(JSON.stringify({ code, packageName, isRetryable, message, hasCause: cause !== undefined }));
  }
}
await local.close();
await qdrant.close();
