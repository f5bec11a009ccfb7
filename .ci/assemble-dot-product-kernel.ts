// Assembles src/vector-stores/local/vectors/dot-product-kernel.wat; `npx tsx .ci/assemble-dot-product-kernel.ts` writes the bytes into the source.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import loadWabt from 'wabt';

const source = new URL('../src/vector-stores/local/vectors/dot-product-kernel.wat', import.meta.url);
const target = new URL('../src/vector-stores/local/vectors/dot-product-kernel-bytes.ts', import.meta.url);

export async function assembleDotProductKernel(): Promise<Uint8Array> {
  const wabt = await loadWabt();
  const module = wabt.parseWat('dot-product-kernel.wat', await readFile(source, 'utf8'), { simd: true });
  module.validate();
  return module.toBinary({}).buffer;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const base64 = Buffer.from(await assembleDotProductKernel()).toString('base64');
  const lines = base64.match(/.{1,112}/g) ?? [];
  const text = [
    '// Made from dot-product-kernel.wat by .ci/assemble-dot-product-kernel.ts; a test compares the two.',
    'export const dotProductKernelBytes: Uint8Array = Buffer.from(',
    ...lines.map((line, index) => `  ${index === 0 ? '' : '  '}'${line}'${index < lines.length - 1 ? ' +' : ','}`),
    "  'base64',",
    ');',
    '',
  ];
  await writeFile(target, text.join('\n'));
}
