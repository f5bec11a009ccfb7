import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// On a Qdrant server, making and dropping a collection takes a good part of a second, and some suites do so a hundred times.
const onServer = process.env.QDRANT_URL !== undefined;

/** The tests of one kind: `npm run test:unit`, or `npx vitest run --project integration qdrant` for a part. */
const project = (name: string, timeoutMs: number) => ({
  extends: true as const,
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: Math.max(timeoutMs, 30_000),
  },
});

export default defineConfig({
  resolve: { alias: { '#src': fileURLToPath(new URL('src', import.meta.url)) } },
  test: {
    // Two cores: the model, PostgreSQL and the packed-tarball tests each want one.
    maxWorkers: 2,
    // Some tests load onnxruntime themselves; see src/providers/sentence-transformers/threads/runtime-telemetry.ts.
    env: { ORT_DISABLE_TELEMETRY: '1' },
    projects: [
      project('unit', 20_000),
      project('contract', onServer ? 600_000 : 120_000),
      project('integration', onServer ? 600_000 : 180_000),
      project('package', 180_000),
    ],
  },
});
