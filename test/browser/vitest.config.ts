import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Run by `npm run test:browser`: it needs a browser, which `npm test` does not. */
export default defineConfig({
  root,
  resolve: { alias: { '#src': `${root}src` } },
  test: { include: ['test/browser/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000 },
});
