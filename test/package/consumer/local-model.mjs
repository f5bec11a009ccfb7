import { SentenceTransformersProvider } from '@pulse/ai-providers';

const provider = new SentenceTransformersProvider();
const { embeddings } = await provider.generateEmbeddings(['a text']);
await provider.close();
console.log(JSON.stringify([...embeddings[0]]));
