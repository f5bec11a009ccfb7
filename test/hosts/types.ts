import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HostRun } from './hosts.js';

/** Ways to resolve modules; `node10` is what older NestJS and Express hosts have. TypeScript 7 no longer knows it. */
const resolutions = {
  node10: { module: 'commonjs', moduleResolution: 'node10' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
} as const;

/** Compiles a host that emits declarations, strictly and with the library's own declarations checked. */
export async function tryTypes(host: HostRun, versions: readonly string[]): Promise<void> {
  for (const version of versions) {
    for (const [name, resolution] of Object.entries(resolutions)) {
      if (name === 'node10' && Number.parseInt(version, 10) >= 7) continue;
      const config = {
        compilerOptions: {
          ...resolution,
          ...(version.startsWith('6') && name === 'node10' ? { ignoreDeprecations: '6.0' } : {}),
          strict: true,
          declaration: true,
          // Node's own declarations are newer than TypeScript 5.0 can read.
          skipLibCheck: version === '5.0',
          target: 'es2022',
          lib: ['es2023', ...(version === '5.0' ? [] : ['esnext.disposable'])],
          types: ['node'],
          rootDir: 'types',
          outDir: `out/types-${version}-${name}`,
        },
        files: ['types/host.ts'],
      };
      const file = `tsconfig.${version}.${name}.json`;
      await writeFile(join(host.folder, file), JSON.stringify(config));
      await host.run('node', `node_modules/typescript-${version}/bin/tsc`, '-p', file);
    }
  }
}
