/**
 * Feeds a million texts to `embedStream` and looks at the memory on the way. A model of 1 MB stands in for a real one,
 * so that the stream is what is measured.
 *
 *     npm run build && npx tsx bench/local-stream.ts [texts]
 *
 * Writes its sentence to bench/README.md.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SentenceTransformersProvider } from '@pulse/ai-providers';
import { tinyBertFiles, writeFiles } from '../test/helpers/tiny-bert.js';
import { writeSection } from './report/write-section.js';

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
const memory: number[] = [];
let done = 0;
for await (const _ of provider.embedStream(texts())) {
  if (++done % (count / 10) !== 0) continue;
  memory.push(Math.round(process.memoryUsage().rss / 2 ** 20));
  console.log(`${done} texts: RSS ${memory.at(-1)} MiB`);
}
await rm(folder, { recursive: true });

const rate = Math.round((done * 1000) / (performance.now() - started));
const format = (value: number) => value.toLocaleString('en');
await writeSection('local-stream', [
  '## A stream of a million texts\n',
  `${format(done)} texts through \`embedStream\`, at ${format(rate)} a second with a model of 1 MB: after each tenth of them the process took ${Math.min(...memory)} to ${Math.max(...memory)} MiB.
${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}. Written by \`npx tsx bench/local-stream.ts\`.`,
]);
