/**
 * Compares token ids with those of the Rust tokenizers that tokenizer_ids.py wrote. Prints each form's share of texts with other ids, and the first.
 * usage: tsx test/python/compare-tokenizers.ts FILE
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tokenizer } from '#src/providers/sentence-transformers/inference/tokenizer.js';

interface Reference {
  readonly texts: readonly string[];
  readonly forms: Readonly<
    Record<string, { readonly definition: unknown; readonly ids: readonly (readonly number[])[] }>
  >;
}

const { texts, forms } = JSON.parse(await readFile(process.argv[2]!, 'utf8')) as Reference;
const folder = await mkdtemp(join(tmpdir(), 'tokenizers-'));
let isEqual = true;
for (const [name, { definition, ids }] of Object.entries(forms)) {
  const tokenizerFile = join(folder, 'tokenizer.json');
  await writeFile(tokenizerFile, JSON.stringify(definition));
  const tokenizer = await Tokenizer.load({ tokenizerFile, maxTokens: 4096, poolsPrompt: true });
  const differing = texts.flatMap((text, index) => {
    const own = tokenizer.encode(text);
    return own.join() === ids[index]!.join() ? [] : [{ text, own, rust: ids[index]! }];
  });
  console.log(`${name}: ${differing.length} of ${texts.length} texts have other ids`);
  for (const { text, own, rust } of differing.slice(0, Number(process.argv[3] ?? 1))) {
    console.log(`  ${JSON.stringify(text)}\n    ours ${own.join(' ')}\n    Rust ${rust.join(' ')}`);
  }
  if (differing.length > 0) isEqual = false;
}
await rm(folder, { recursive: true });
process.exitCode = isEqual ? 0 : 1;
