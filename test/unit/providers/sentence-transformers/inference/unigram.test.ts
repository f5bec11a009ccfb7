import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Charsmap } from '#src/providers/sentence-transformers/inference/charsmap.js';
import { Tokenizer } from '#src/providers/sentence-transformers/inference/tokenizer.js';

/** Made by test/python/tokenizer_ids.py with tokenizers 0.23.3 (Rust), of a table with eleven rules. */
const { texts, definition, forms } = JSON.parse(
  readFileSync(new URL('../../../../fixtures/unigram-ids.json', import.meta.url), 'utf8'),
) as {
  readonly texts: readonly string[];
  readonly definition: object;
  readonly forms: Readonly<Record<string, { readonly ids: readonly (readonly number[])[] }>>;
};

it.each(Object.entries(forms))('%s gives the ids of the Rust tokenizers', async (_, { ids, ...parts }) => {
  const folder = await mkdtemp(join(tmpdir(), 'unigram-'));
  const tokenizerFile = join(folder, 'tokenizer.json');
  await writeFile(tokenizerFile, JSON.stringify({ ...definition, ...parts }));
  const tokenizer = await Tokenizer.load({ tokenizerFile, maxTokens: 512, poolsPrompt: true });
  for (const [index, text] of texts.entries()) expect(tokenizer.encode(text), JSON.stringify(text)).toEqual(ids[index]);
  await rm(folder, { recursive: true });
});

it.each(['', 'AAAA', Buffer.from([9, 0, 0, 0, 1]).toString('base64'), Buffer.alloc(6).toString('base64')])(
  'the table %j is refused as damaged',
  (table) => {
    expect(() => new Charsmap(table)).toThrow('damaged');
  },
);
