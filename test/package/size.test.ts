import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { repositoryRoot } from '../helpers/source-file.js';

const manifest = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as {
  readonly peerDependencies: Readonly<Record<string, string>>;
};

/** Bytes of minified JavaScript that a host loads with `import '@pulse/ai-providers'`, before it calls anything. */
const limit = 200_000;

it(`loads at most ${limit} bytes with the root import`, async () => {
  const entry = join(repositoryRoot, 'dist', 'index.js');
  if (!existsSync(entry)) throw new Error('Run `npm run build` first.');
  const { metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    external: ['openai', ...Object.keys(manifest.peerDependencies)],
    outdir: 'unused',
    write: false,
    metafile: true,
  });
  const loaded = new Set<string>();
  const load = (path: string) => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const { path: target, kind, external } of metafile.outputs[path]!.imports) {
      if (kind === 'import-statement' && !external) load(target);
    }
  };
  load(Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint?.endsWith('dist/index.js'))![0]);
  const bytes = [...loaded].reduce((sum, path) => sum + metafile.outputs[path]!.bytes, 0);
  console.log(`The root import loads ${bytes} bytes of minified JavaScript.`);
  expect(bytes).toBeLessThanOrEqual(limit);
});
