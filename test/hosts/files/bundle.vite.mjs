import { build } from 'vite';

const ssr = { noExternal: true };
const rollupOptions = { output: { entryFileNames: 'vite.mjs' } };
await build({
  logLevel: 'error',
  ssr,
  build: { ssr: 'run-use.mjs', outDir: 'out/vite', rollupOptions, emptyOutDir: false },
});
