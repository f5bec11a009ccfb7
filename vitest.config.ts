import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: { alias: { '#src': fileURLToPath(new URL('src', import.meta.url)) } },
  test: {
    include: ['test/**/*.test.ts'],
    // On a Qdrant server, making and dropping a collection takes a good part of a second, and some suites do so a hundred times.
    testTimeout: process.env.QDRANT_URL ? 600_000 : 120_000,
    hookTimeout: process.env.QDRANT_URL ? 600_000 : 180_000,
    // Two cores: the model, PostgreSQL and the packed-tarball tests each want one.
    maxWorkers: 2,
    // Some tests load onnxruntime themselves; see src/providers/sentence-transformers/threads/runtime-telemetry.ts.
    env: { ORT_DISABLE_TELEMETRY: '1' },
  },
});
