import { build } from 'esbuild';

// No `external`: a host that installed no optional package bundles without settings.
for (const format of ['esm', 'cjs']) {
  const outfile = `out/esbuild.${format === 'esm' ? 'mjs' : 'cjs'}`;
  const entryPoints = [format === 'esm' ? 'run-use.mjs' : 'run-use.cjs'];
  await build({ entryPoints, outfile, bundle: true, platform: 'node', format, logLevel: 'error' });
}
