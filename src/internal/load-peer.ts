import { MissingDependencyError } from '../errors.js';

/**
 * Loads an optional peer dependency on first use.
 *
 * @throws {@link MissingDependencyError} naming the package and the install line.
 */
export async function loadPeer<Module>(
  packageName: string,
  neededFor: string,
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    throw new MissingDependencyError(packageName, neededFor, error);
  }
}
