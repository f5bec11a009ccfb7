import type { EmbeddingSpace } from '../../../core/embedding-space.js';
import type { Dtype } from '../dtype.js';

export type Pooling = NonNullable<EmbeddingSpace['pooling']>;

/** Everything that running a model takes, read from its folder; plain data, so that it can be sent to workers. */
export interface ModelManifest {
  /** As the embedding space names it. */
  readonly model: string;
  /** The first 12 hexadecimal digits of the weights' SHA-256. */
  readonly revision: string;
  readonly modelFile: string;
  readonly tokenizerFile: string;
  readonly dimension: number;
  readonly pooling: Pooling;
  /** Whether the tokens of a prompt count in the pooling, as they do unless the model says otherwise. */
  readonly poolsPrompt: boolean;
  /** Whether the model itself ends in a Normalize module. */
  readonly isNormalized: boolean;
  /** The most tokens of a text, special tokens included; the rest is cut. */
  readonly maxTokens: number;
  readonly padTokenId: number;
  readonly prompts: EmbeddingSpace['prompts'];
  readonly dtype: Dtype;
  /** Whether the ONNX file was built here, and not by somebody else. */
  readonly isBuiltHere: boolean;
}
