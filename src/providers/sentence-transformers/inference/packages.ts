import { type Loaders, missingDependency, requirePeers } from '../../../internal/load-peer.js';
import { platformHint } from './platform-hint.js';

const neededFor = 'Local embedding';

export async function loadTokenizers() {
  try {
    return await import('@huggingface/tokenizers');
  } catch (error) {
    throw missingDependency('@huggingface/tokenizers', neededFor, error);
  }
}

export async function loadOnnxRuntime() {
  try {
    return await import('onnxruntime-node');
  } catch (error) {
    const hint = platformHint();
    const cause = hint === undefined ? error : Object.assign(new Error(hint, { cause: error }), codeOf(error));
    throw missingDependency('onnxruntime-node', neededFor, cause);
  }
}

/** It tells a package that is not installed from one that cannot be loaded. */
function codeOf(error: unknown): { readonly code?: unknown } {
  return { code: (error as { readonly code?: unknown } | null)?.code };
}

const loaders: Loaders = { '@huggingface/tokenizers': loadTokenizers, 'onnxruntime-node': loadOnnxRuntime };

/**
 * @param weightsPackage - The package with the model's weights, if there is one; without it they are downloaded.
 * @throws `MissingDependencyError` with all packages that are missing.
 */
export function requirePackages(weightsPackage: string | undefined): Promise<void> {
  return requirePeers(neededFor, loaders, weightsPackage === undefined ? [] : [weightsPackage]);
}
