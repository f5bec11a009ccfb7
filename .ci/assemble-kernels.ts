// Assembles the WebAssembly kernels; `npx tsx .ci/assemble-kernels.ts` writes the bytes into the source, next to each
// .wat file.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import loadWabt from 'wabt';

const kernels = [
  'src/providers/wex-gateway/embeddings/base64-kernel',
  'src/vector-stores/local/vectors/dot-product-kernel',
  'src/vector-stores/local/vectors/int8-kernel',
] as const;

/** The bytes of a kernel, from its source. */
export async function assembleKernel(kernel: (typeof kernels)[number]): Promise<Uint8Array> {
  const wabt = await loadWabt();
  const source = await readFile(new URL(`../${kernel}.wat`, import.meta.url), 'utf8');
  const module = wabt.parseWat(`${kernel}.wat`, source, { simd: true });
  module.validate();
  return module.toBinary({}).buffer;
}

async function writeBytes(kernel: (typeof kernels)[number]): Promise<void> {
  const name = kernel.slice(kernel.lastIndexOf('/') + 1);
  const constant = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const base64 = Buffer.from(await assembleKernel(kernel)).toString('base64');
  const lines = base64.match(/.{1,112}/g) ?? [];
  const text = [
    `// Made from ${name}.wat by .ci/assemble-kernels.ts; a test compares the two.`,
    `export const ${constant}Bytes: Uint8Array = Buffer.from(`,
    ...lines.map((line, index) => `  ${index === 0 ? '' : '  '}'${line}'${index < lines.length - 1 ? ' +' : ','}`),
    "  'base64',",
    ');',
    '',
  ];
  await writeFile(new URL(`../${kernel}-bytes.ts`, import.meta.url), text.join('\n'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await Promise.all(kernels.map(writeBytes));
