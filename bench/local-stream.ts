/**
 * Feeds a million texts to `embedStream` and prints the memory on the way. A model of 1 MB stands in for a real one, so that the stream is
 * what is measured: npm run build, then npx tsx bench/local-stream.ts [texts]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SentenceTransformersProvider } from '@pulse/ai-providers';
import { tinyBertFiles, writeFiles } from '../test/helpers/tiny-bert.js';

const count = Number(process.argv[2] ?? 1_000_000);
const folder = await mkdtemp(join(tmpdir(), 'bench-stream-'));
await writeFiles(join(folder, 'model'), await tinyBertFiles());
await using provider = new SentenceTransformersProvider({
  model: 'acme/tiny-bert',
  modelFolder: join(folder, 'model'),
  cacheFolder: folder,
});

async function* texts() {
  for (let index = 0; index < count; index++) yield `text number ${index} of a very long stream`;
}

const started = performance.now();
let done = 0;
for await (const _ of provider.embedStream(texts())) {
  if (++done % (count / 10) !== 0) continue;
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  const mebibytes = [rss, heapUsed, arrayBuffers].map((bytes) => Math.round(bytes / 2 ** 20));
  const rate = Math.round((done * 1000) / (performance.now() - started));
  console.log(`${done} texts, ${rate}/s: RSS ${mebibytes[0]} MiB, heap ${mebibytes[1]}, buffers ${mebibytes[2]}`);
}
await rm(folder, { recursive: true });
