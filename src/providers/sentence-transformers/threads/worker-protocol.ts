import {
  AiProviderError,
  type AiProviderErrorCode,
  isAiProviderError,
  MissingDependencyError,
} from '../../../errors.js';
import type { DownloadProgress } from '../model/hub/hub-settings.js';
import type { ModelManifest } from '../model/model-manifest.js';
import type { ModelSource } from '../model/resolve-model.js';

/** What the host thread asks of a worker; each request is answered once, by its `id`. */
export type WorkerRequest = { readonly id: number } & (
  | { readonly type: 'resolve'; readonly source: ModelSource }
  | { readonly type: 'load_tokenizer'; readonly manifest: ModelManifest }
  | { readonly type: 'load_model'; readonly manifest: ModelManifest; readonly session: SessionSettings }
  | {
      readonly type: 'tokenize';
      readonly texts: readonly string[];
      readonly prompt: string;
      readonly isUrgent: boolean;
    }
  | { readonly type: 'run'; readonly texts: TokenizedTexts; readonly isUrgent: boolean }
  | { readonly type: 'cancel'; readonly target: number }
  /** Ends the thread as soon as it is not inside of native code. */
  | { readonly type: 'exit' }
);

export type Device = 'auto' | 'cpu' | 'cuda';

export interface SessionSettings {
  readonly threads: number;
  readonly device: Device;
}

/** Where a model runs, and why there. */
export interface DeviceReport {
  readonly name: 'cpu' | 'cuda';
  readonly reason: string;
}

export interface TokenizedTexts {
  /** `lengths[i]` token ids for text i, one text after the other. */
  readonly tokenIds: Int32Array<ArrayBuffer>;
  readonly lengths: Int32Array<ArrayBuffer>;
  /** How many tokens at the start of each text are left out of the pooling. */
  readonly skipped: Int32Array<ArrayBuffer>;
}

export interface RunResult {
  /** Pooled, not normalised: `lengths.length` x `dimension`, row by row. */
  readonly vectors: Float32Array<ArrayBuffer>;
  readonly milliseconds: number;
}

export interface ResultOf {
  readonly resolve: ModelManifest;
  readonly load_tokenizer: null;
  readonly load_model: DeviceReport;
  readonly tokenize: TokenizedTexts;
  readonly run: RunResult;
  readonly cancel: null;
  readonly exit: null;
}

export type WorkerResponse =
  | { readonly id: number; readonly progress: DownloadProgress }
  | { readonly id: number; readonly value: ResultOf[keyof ResultOf] }
  | { readonly id: number; readonly error: SerializedError };

/** An error as it crosses threads: structured cloning keeps only the message and stack of an Error. */
export interface SerializedError {
  readonly message: string;
  readonly code: AiProviderErrorCode;
  readonly isRetryable: boolean;
  readonly missing: Pick<MissingDependencyError, 'packageNames' | 'reason'> | undefined;
  readonly cause: Error | undefined;
}

export function serializeError(error: unknown): SerializedError {
  const isOurs = isAiProviderError(error);
  const cause = isOurs ? error.cause : error;
  return {
    message: isOurs ? error.message : 'The local model failed in its worker thread.',
    code: isOurs ? error.code : 'unavailable',
    isRetryable: isOurs && error.isRetryable,
    missing:
      error instanceof MissingDependencyError ? { packageNames: error.packageNames, reason: error.reason } : undefined,
    cause: cause instanceof Error ? cause : undefined,
  };
}

export function deserializeError({ message, code, isRetryable, missing, cause }: SerializedError): AiProviderError {
  if (missing !== undefined) {
    const names = missing.packageNames as [string, ...string[]];
    return new MissingDependencyError(names, 'Local embedding', cause, missing.reason);
  }
  return new AiProviderError(message, { code, isRetryable, cause });
}
