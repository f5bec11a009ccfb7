import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // Two cores: the model, PostgreSQL and the packed-tarball tests each want one.
    maxWorkers: 2,
  },
});
