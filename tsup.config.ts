import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { defineConfig, type Options } from 'tsup';

/** What a host imports. */
const doors = {
  index: 'src/index.ts',
  admin: 'src/admin.ts',
  testing: 'src/testing/index.ts',
  'ai-sdk': 'src/ai-sdk.ts',
  langchain: 'src/langchain.ts',
  mcp: 'src/mcp.ts',
  jobs: 'src/jobs.ts',
};
/** Run by this library itself, from the file that lies next to the door's. */
const threads = {
  'sentence-transformers-worker': 'src/providers/sentence-transformers/inference/worker.ts',
};
/** Programs; Node runs them, so there is no CommonJS form. */
const programs = { 'pulse-ai': 'src/commands/pulse-ai.ts' };

const shared: Options = {
  target: 'node20',
  // One copy of every shared class inside a format, so `instanceof` holds between entries.
  splitting: true,
  // `import.meta.url` in the CommonJS output: it locates the worker file.
  shims: true,
  sourcemap: true,
};

/**
 * tsup's CommonJS has `require` in a callback in place of `import()`. Straight in the `try` around it, webpack sees that the
 * package may be missing.
 */
const requireInsideTry: NonNullable<Options['plugins']>[number] = {
  name: 'require-inside-try',
  buildEnd({ writtenFiles }) {
    for (const { name } of writtenFiles.filter((file) => file.name.endsWith('.cjs'))) {
      const code = readFileSync(name, 'utf8');
      const callback = /Promise\.resolve\(\)\.then\(\(\) => (_interopRequireWildcard\(require\("[^"]+"\)\))\)/g;
      writeFileSync(name, code.replaceAll(callback, '$1'));
    }
  },
};

export default defineConfig(({ dts }) => {
  // By hand: with several builds, `clean` would delete what another one has written.
  rmSync('dist', { recursive: true, force: true });
  return [
    {
      ...shared,
      // A third fewer bytes to load; names stay, and lines are short enough for a stack trace to say where.
      esbuildOptions(options) {
        options.minifyWhitespace = true;
        options.minifySyntax = true;
        options.lineLimit = 100;
      },
      format: 'esm',
      entry: { ...doors, ...threads, ...programs },
    },
    {
      ...shared,
      format: 'cjs',
      entry: { ...doors, ...threads },
      // They are ES modules only, which Jest cannot `require`. Their licences are in THIRD-PARTY-LICENSES.md.
      plugins: [requireInsideTry],
      noExternal: ['p-limit', 'p-retry', 'yocto-queue', 'is-network-error'],
    },
    // `tsup --no-dts` builds faster, for whoever only runs the code.
    ...(dts === false ? [] : [{ format: ['esm', 'cjs'], entry: doors, dts: { only: true } } satisfies Options]),
  ];
});
