import { defineConfig } from 'tsup';

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    testing: 'src/testing/index.ts',
    'copy-vectors': 'src/commands/copy-vectors.ts',
    'sentence-transformers-worker': 'src/providers/sentence-transformers/inference/worker.ts',
  },
  format: ['esm', 'cjs'],
  dts: { entry: { index: 'src/index.ts', testing: 'src/testing/index.ts' } },
  target: 'node20',
  // One copy of every shared class inside a format, so `instanceof` holds between entries.
  splitting: true,
  // `import.meta.url` in the CJS output: it locates the worker file.
  shims: true,
  sourcemap: true,
  clean: true,
});
