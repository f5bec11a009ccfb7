import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { loadPeer } from '../../internal/load-peer.js';
import type { ModelManifest } from './model-manifest.js';
import { pool } from './pooling.js';
import type { DeviceReport, SessionSettings, TokenizedTexts } from './worker-protocol.js';

interface TensorLike {
  readonly data: unknown;
  readonly dims: readonly number[];
}

interface SessionLike {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, unknown>, fetches: readonly string[]): Promise<Record<string, TensorLike>>;
}

interface OnnxRuntimeLike {
  readonly InferenceSession: { create(file: string, options: object): Promise<unknown> };
  readonly Tensor: unknown;
}

type TensorConstructor = new (type: 'int64', data: BigInt64Array, dims: readonly number[]) => unknown;

/**
 * Which texts may share a run. `padded`: any. `equal_length`: the model has no attention mask, so nothing may be padded. `alone`: its
 * scales are dynamic and span the run, so a text's vector would depend on its company.
 */
type Grouping = 'padded' | 'equal_length' | 'alone';

/** An ONNX session and what stands around it: padding, masks, pooling. Blocks the thread it runs on, so that must be a worker. */
export class EmbeddingModel {
  readonly #session: SessionLike;
  readonly #Tensor: TensorConstructor;
  readonly #manifest: ModelManifest;
  readonly #output: string;
  readonly #grouping: Grouping;
  readonly device: DeviceReport;

  private constructor(session: SessionLike, Tensor: TensorConstructor, manifest: ModelManifest, device: DeviceReport) {
    this.#session = session;
    this.#Tensor = Tensor;
    this.#manifest = manifest;
    this.device = device;
    this.#output = session.outputNames.includes('last_hidden_state') ? 'last_hidden_state' : session.outputNames[0]!;
    if (!session.inputNames.includes('attention_mask')) this.#grouping = 'equal_length';
    else this.#grouping = manifest.dtype === 'int8' ? 'alone' : 'padded';
  }

  static async load(manifest: ModelManifest, settings: SessionSettings): Promise<EmbeddingModel> {
    const runtime: OnnxRuntimeLike = await loadPeer('onnxruntime-node', 'Local embedding', async () => {
      const module = await import('onnxruntime-node');
      return (module as { default?: OnnxRuntimeLike }).default ?? (module as unknown as OnnxRuntimeLike);
    });
    const { session, device } = await createSession(runtime, manifest, settings);
    return new EmbeddingModel(session, runtime.Tensor as TensorConstructor, manifest, device);
  }

  /**
   * Embeds texts in as few runs as the model allows.
   *
   * @param betweenRuns - Awaited between two runs: a chance to serve somebody more urgent.
   * @returns `lengths.length` x `dimension` values, not normalised.
   */
  async embed(texts: TokenizedTexts, betweenRuns: () => Promise<void>): Promise<Float32Array<ArrayBuffer>> {
    const { dimension } = this.#manifest;
    const { tokenIds, lengths, skipped } = texts;
    const vectors = new Float32Array(lengths.length * dimension);
    let from = 0;
    for (let start = 0; start < lengths.length; ) {
      if (start > 0) await betweenRuns();
      const end = this.#endOfGroup(lengths, start);
      const group = lengths.subarray(start, end);
      const size = group.reduce((sum, length) => sum + length, 0);
      const target = vectors.subarray(start * dimension, end * dimension);
      await this.#run(tokenIds.subarray(from, from + size), group, skipped.subarray(start, end), target);
      from += size;
      start = end;
    }
    return vectors;
  }

  #endOfGroup(lengths: Int32Array, start: number): number {
    if (this.#grouping === 'padded') return lengths.length;
    let end = start + 1;
    if (this.#grouping === 'alone') return end;
    while (end < lengths.length && lengths[end] === lengths[start]) end++;
    return end;
  }

  async #run(tokenIds: Int32Array, lengths: Int32Array, skipped: Int32Array, target: Float32Array): Promise<void> {
    const { dimension, pooling } = this.#manifest;
    const sequence = lengths.reduce((longest, length) => Math.max(longest, length), 0);
    const shape = [lengths.length, sequence];
    const feeds: Record<string, unknown> = {};
    for (const name of this.#session.inputNames) {
      feeds[name] = new this.#Tensor('int64', this.#inputValues(name, tokenIds, lengths, sequence), shape);
    }
    const { data, dims } = (await this.#session.run(feeds, [this.#output]))[this.#output]!;
    // A model that pools by itself gives one vector a text.
    if (dims.length === 2) target.set(data as Float32Array);
    else pool(data as Float32Array, { lengths, skipped, sequence, dimension, pooling }, target);
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

/** CUDA where it is wanted and a session really comes up there; its libraries may be missing although the runtime lists it. */
async function createSession(runtime: OnnxRuntimeLike, manifest: ModelManifest, settings: SessionSettings) {
  const create = async (provider: 'cpu' | 'cuda'): Promise<SessionLike> =>
    (await runtime.InferenceSession.create(manifest.modelFile, {
      executionProviders: [provider],
      intraOpNumThreads: settings.threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      extra: {
        session: {
          // A thread that spins while it waits takes a core from the host.
          intra_op: { allow_spinning: '0' },
          // Without VNNI, int8 products overflow in weights that were not made to avoid it, as ours are; exact ones are slower there.
          x64quantprecision: manifest.isBuiltHere ? '0' : '1',
        },
      },
      logSeverityLevel: 4,
    })) as SessionLike;
  const onCpu = async (reason: string) => ({ session: await create('cpu'), device: { name: 'cpu', reason } as const });
  if (settings.device === 'cpu') return onCpu('chosen by the host');
  if (settings.device === 'auto') {
    if (manifest.dtype === 'int8') return onCpu('int8 runs on the CPU');
    if (!hasCudaLibraries()) return onCpu('onnxruntime-node is installed without its CUDA libraries');
  }
  try {
    const session = await create('cuda');
    await probe(session, runtime.Tensor as TensorConstructor);
    return { session, device: { name: 'cuda', reason: 'a session ran on it' } as const };
  } catch (error) {
    if (settings.device === 'cuda') throw error;
    const [line] = (error instanceof Error ? error.message : 'unknown').split('\n');
    return onCpu(`CUDA failed: ${line}`);
  }
}

/** The runtime lists CUDA as supported also where its libraries were never downloaded, and prints an error when it is tried. */
function hasCudaLibraries(): boolean {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node');
  const binaries = join(dirname(main), '..', 'bin');
  const pattern = new RegExp(`[\\\\/]${process.platform}[\\\\/]${process.arch}[\\\\/].*providers_cuda`);
  return readdirSync(binaries, { recursive: true, encoding: 'utf8' }).some((file) => pattern.test(file));
}

async function probe(session: SessionLike, Tensor: TensorConstructor): Promise<void> {
  const feeds = Object.fromEntries(
    session.inputNames.map((name) => [name, new Tensor('int64', BigInt64Array.of(1n), [1, 1])]),
  );
  await session.run(feeds, session.outputNames);
}
