import { homedir } from 'node:os';
import { join } from 'node:path';
import { InvalidInputError } from '../../../errors.js';

/** `~/.cache/pulse-ai-providers`. @throws {@link InvalidInputError} that names `cacheFolder` when the user has no home folder. */
export function defaultCacheFolder(): string {
  const home = homeFolder();
  if (home !== undefined) return join(home, '.cache', 'pulse-ai-providers');
  throw new InvalidInputError(
    'Expected `cacheFolder`, a folder for models that this process may write to: its user has no home folder to keep them in.',
  );
}

/** Undefined for a user id that no list of users has, as in many containers. */
export function homeFolder(): string | undefined {
  try {
    return homedir();
  } catch {
    return undefined;
  }
}
