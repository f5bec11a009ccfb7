const { SentenceTransformersProvider } = require('@pulse/ai-providers');

async function main() {
  const provider = new SentenceTransformersProvider();
  const { embeddings } = await provider.generateEmbeddings(['a text']);
  await provider.close();
  console.log(JSON.stringify([...embeddings[0]]));
}

main();
