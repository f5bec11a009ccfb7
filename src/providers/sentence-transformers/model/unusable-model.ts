import { AiProviderError } from '../../../errors.js';
import type { ModelManifest } from './model-manifest.js';

/** A model whose files were found and cannot be used as they are. @param reason - Names the file or the tensor. */
export function unusableModel(
  { model, dtype }: Pick<ModelManifest, 'model' | 'dtype'>,
  reason: string,
  cause?: unknown,
) {
  return new AiProviderError(`The model ${model} (${dtype}) cannot be used: ${reason}.`, {
    code: 'model_unavailable',
    cause,
  });
}

/** What goes into a message of an error that a library threw: it may go on with a stack of its own. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0]!.replace(/\.$/, '');
}
