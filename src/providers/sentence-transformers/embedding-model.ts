import { loadPeer } from '../../internal/load-peer.js';
import type { ModelManifest } from './model-manifest.js';
import { pool } from './pooling.js';
import type { SessionSettings } from './worker-protocol.js';

interface TensorLike {
  readonly data: unknown;
  readonly dims: readonly number[];
}

interface SessionLike {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, unknown>, fetches: readonly string[]): Promise<Record<string, TensorLike>>;
}

type TensorConstructor = new (type: 'int64', data: BigInt64Array, dims: readonly number[]) => unknown;

/** An ONNX session and what stands around it: padding, masks, pooling. Blocks the thread it runs on, so that must be a worker. */
export class EmbeddingModel {
  readonly #session: SessionLike;
  readonly #Tensor: TensorConstructor;
  readonly #manifest: ModelManifest;
  readonly #output: string;

  private constructor(session: SessionLike, Tensor: TensorConstructor, manifest: ModelManifest) {
    this.#session = session;
    this.#Tensor = Tensor;
    this.#manifest = manifest;
    this.#output = session.outputNames.includes('last_hidden_state') ? 'last_hidden_state' : session.outputNames[0]!;
  }

  static async load(manifest: ModelManifest, { threads }: SessionSettings): Promise<EmbeddingModel> {
    const { InferenceSession, Tensor } = await loadPeer(
      'onnxruntime-node',
      'Local embedding',
      () => import('onnxruntime-node'),
    );
    const session = await InferenceSession.create(manifest.modelFile, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      // A thread that spins while it waits takes a core from the host.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
      logSeverityLevel: 3,
    });
    return new EmbeddingModel(session as unknown as SessionLike, Tensor as unknown as TensorConstructor, manifest);
  }

  /** Runs texts of `lengths[i]` tokens in one go. Returns `lengths.length` x `dimension` values, not normalised. */
  async run(tokenIds: Int32Array, lengths: Int32Array): Promise<Float32Array<ArrayBuffer>> {
    const { dimension, pooling } = this.#manifest;
    const sequence = lengths.reduce((longest, length) => Math.max(longest, length), 0);
    const shape = [lengths.length, sequence];
    const feeds: Record<string, unknown> = {};
    for (const name of this.#session.inputNames) {
      feeds[name] = new this.#Tensor('int64', this.#inputValues(name, tokenIds, lengths, sequence), shape);
    }
    const results = await this.#session.run(feeds, [this.#output]);
    const { data, dims } = results[this.#output]!;
    const vectors = new Float32Array(lengths.length * dimension);
    if (dims.length === 2) vectors.set(data as Float32Array);
    else pool(data as Float32Array, lengths, sequence, dimension, pooling, vectors);
    return vectors;
  }

  #inputValues(name: string, tokenIds: Int32Array, lengths: Int32Array, sequence: number): BigInt64Array {
    const values = new BigInt64Array(lengths.length * sequence);
    if (name === 'token_type_ids') return values;
    // The low words of little-endian 64-bit integers: twenty times as fast as making BigInts.
    const words = new Int32Array(values.buffer);
    let from = 0;
    for (let row = 0; row < lengths.length; row++) {
      const length = lengths[row]!;
      for (let column = 0; column < sequence; column++) {
        const isPadding = column >= length;
        if (name === 'attention_mask') words[2 * (row * sequence + column)] = isPadding ? 0 : 1;
        else words[2 * (row * sequence + column)] = isPadding ? this.#manifest.padTokenId : tokenIds[from + column]!;
      }
      from += length;
    }
    return values;
  }
}
