import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AiProviderError } from '../../../errors.js';

const packageName = '@pulse/ai-providers';

/**
 * The worker's file is next to the file that this code was built into. When a host bundled the library, or this code runs from its TypeScript source, it is
 * in the installed package.
 *
 * @throws an error with code `missing_dependency` when it is not there, as after a deployment that replaced the package under a running host.
 */
export function workerFile(): string {
  const here = ownFile();
  const name = `sentence-transformers-worker.${here.endsWith('.cjs') ? 'cjs' : 'js'}`;
  const found = [join(dirname(here), name), installedWorkerFile(here, name)].find((file) => file && existsSync(file));
  if (found !== undefined) return found;
  throw new AiProviderError(
    `The file ${name} of the local model's threads is not next to ${here}. If a deployment replaced ${packageName}, restart this process. If the host is ` +
      `bundled, keep ${packageName} installed next to its bundle, or copy dist/${name} and the chunks that it imports there.`,
    { code: 'missing_dependency' },
  );
}

/** A bundler that turns ESM into CommonJS leaves no `import.meta.url`. `__filename` would be one that the build of this library puts in. */
function ownFile(): string {
  if (import.meta.url) return fileURLToPath(import.meta.url);
  return typeof module === 'object' ? module.filename : join(process.cwd(), 'index.js');
}

function installedWorkerFile(from: string, name: string): string | undefined {
  try {
    return join(dirname(createRequire(from).resolve(`${packageName}/package.json`)), 'dist', name);
  } catch {
    return undefined;
  }
}
