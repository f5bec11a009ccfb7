import { AiProviderError } from '../../errors.js';
import type { QdrantClientLike } from '../qdrant/qdrant-client-like.js';

/** Placeholder until the engine lands. */
export class LocalQdrantClient {
  static async open(_options: { readonly location: string }): Promise<QdrantClientLike & { close(): Promise<void> }> {
    throw new AiProviderError('The local engine is not part of this build.', { code: 'unsupported_operation' });
  }
}
