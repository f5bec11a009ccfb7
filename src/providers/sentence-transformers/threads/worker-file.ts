import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AiProviderError } from '../../../errors.js';

const packageName = '@pulse/ai-providers';

/**
 * The worker's file lies beside the file that this code was built into; where a host bundled the library, it lies in the installed
 * package, and where this code runs from its TypeScript source, in the build.
 */
export function workerFile(): string {
  const here = ownFile();
  const name = `sentence-transformers-worker.${here.endsWith('.cjs') ? 'cjs' : 'js'}`;
  const candidates = [join(dirname(here), name), join(dirname(here), '..', '..', '..', 'dist', name)];
  const found = candidates.find((candidate) => existsSync(candidate)) ?? installedWorkerFile(here, name);
  if (found !== undefined) return found;
  throw new AiProviderError(
    `The worker file ${name} was not found beside ${here}. A host that is bundled keeps ${packageName} installed beside its bundle, or ` +
      `copies dist/${name} and the chunks it imports there.`,
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
