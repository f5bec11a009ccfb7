import { createRequire } from 'node:module';
import { MissingDependencyError } from '../errors.js';

/**
 * Loads packages that are only needed now. Each loader is `async () => { try { return await import('x') } catch … }`
 * with the `import` inside a `try`: only then do esbuild, webpack and Turbopack build a host that has not installed
 * `x`.
 */
export type Loaders = Readonly<Record<string, () => Promise<unknown>>>;

/** The error for a package whose `import()` failed with `cause`. */
export function missingDependency(packageName: string, neededFor: string, cause: unknown): MissingDependencyError {
  return new MissingDependencyError(packageName, neededFor, cause);
}

/**
 * Finds out whether packages that are needed together are all there, before one of them is missed later. Cheap if they
 * are.
 *
 * @param alsoUseful - Packages that belong to the same install line, without which the call may work.
 * @throws {@link MissingDependencyError} with all that are missing.
 */
export async function requirePeers(
  neededFor: string,
  loaders: Loaders,
  alsoUseful: readonly string[] = [],
): Promise<void> {
  const missing: string[] = [];
  let cause: unknown;
  for (const [name, load] of Object.entries(loaders)) {
    if (isInstalled(name)) continue;
    try {
      // A bundle holds packages that cannot be resolved.
      await load();
    } catch (error) {
      missing.push(name);
      cause ??= (error as { readonly cause?: unknown }).cause;
    }
  }
  const [first, ...others] = missing;
  if (first === undefined) return;
  throw new MissingDependencyError(
    [first, ...others, ...alsoUseful.filter((name) => !isInstalled(name))],
    neededFor,
    cause,
  );
}

/** Whether `name` can be found from here, without loading it. */
function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch (error) {
    // Other errors come of packages that are there, such as one that is for `import` only.
    return (error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND';
  }
}

/**
 * The function itself, so that a bundler does not read the call. Turbopack takes `new Worker(file)` or `resolve(folder)`
 * with a path that it cannot know for every file next to this one, and then fails on declarations among them.
 *
 * @example
 * const absolute = untraced(resolve)(folder);
 */
export function untraced<Called extends object>(called: Called): Called {
  return Object(called) as Called;
}
