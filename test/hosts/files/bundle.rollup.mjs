import commonjs from '@rollup/plugin-commonjs';
import json from '@rollup/plugin-json';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import { rollup } from 'rollup';

const plugins = [nodeResolve({ preferBuiltins: true, exportConditions: ['node'] }), commonjs(), json()];
// Rollup cannot bundle undici: it moves `node:sqlite`, which Node 20 lacks, out of the function that asks for it.
const bundle = await rollup({ input: 'run-use.mjs', plugins, external: ['undici'], onwarn: () => {} });
await bundle.write({ dir: 'out/rollup', format: 'es', entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' });
await bundle.close();
