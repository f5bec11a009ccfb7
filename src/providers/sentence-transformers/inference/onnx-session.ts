import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { ModelManifest } from '../model/model-manifest.js';
import { firstLine, unusableModel } from '../model/unusable-model.js';
import type { DeviceReport, SessionSettings } from '../threads/worker-protocol.js';
import { loadOnnxRuntime } from './packages.js';

export interface TensorLike {
  readonly type: string;
  readonly data: unknown;
  readonly dims: readonly number[];
}

export interface SessionLike {
  readonly inputMetadata: readonly { readonly name: string; readonly type?: string }[];
  readonly outputNames: readonly string[];
  run(feeds: Record<string, unknown>, fetches: readonly string[]): Promise<Record<string, TensorLike>>;
}

export type TensorConstructor = new (type: 'int64', data: BigInt64Array, dims: readonly number[]) => unknown;

export interface OpenSession {
  readonly session: SessionLike;
  readonly Tensor: TensorConstructor;
  readonly device: DeviceReport;
}

interface OnnxRuntimeLike {
  readonly InferenceSession: { create(file: string, options: object): Promise<unknown> };
  readonly Tensor: unknown;
}

/**
 * Loads the model's ONNX file: on CUDA where it is wanted and a session really comes up there, since its libraries may be missing although
 * the runtime lists it.
 *
 * @throws an error with code `model_unavailable` that names the file, or what CUDA lacks.
 */
export async function openSession(manifest: ModelManifest, settings: SessionSettings): Promise<OpenSession> {
  const module = await loadOnnxRuntime();
  const runtime = (module as { default?: OnnxRuntimeLike }).default ?? (module as unknown as OnnxRuntimeLike);
  const Tensor = runtime.Tensor as TensorConstructor;
  const onCpu = async (reason: string): Promise<OpenSession> => {
    const session = await createSession(runtime, manifest, settings, 'cpu').catch((cause: unknown) => {
      throw unusableModel(manifest, `the file ${manifest.modelFile} could not be loaded: ${firstLine(cause)}`, cause);
    });
    return { session, Tensor, device: { name: 'cpu', reason } };
  };
  if (settings.device === 'cpu') return onCpu('chosen by the host');
  if (settings.device === 'auto' && manifest.dtype === 'int8') return onCpu('int8 runs on the CPU');
  try {
    if (!hasCudaLibraries()) throw new Error('onnxruntime-node is installed without its CUDA libraries');
    const session = await createSession(runtime, manifest, settings, 'cuda');
    await probe(session, Tensor);
    return { session, Tensor, device: { name: 'cuda', reason: 'a session ran on it' } };
  } catch (cause) {
    const reason = `CUDA cannot be used, ${firstLine(cause)}`;
    if (settings.device === 'auto') return onCpu(reason);
    throw unusableModel(manifest, `${reason}; with \`device: 'auto'\` it runs on the CPU then`, cause);
  }
}

async function createSession(
  runtime: OnnxRuntimeLike,
  manifest: ModelManifest,
  settings: SessionSettings,
  provider: 'cpu' | 'cuda',
): Promise<SessionLike> {
  return (await runtime.InferenceSession.create(manifest.modelFile, {
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
    session.inputMetadata.map(({ name }) => [name, new Tensor('int64', BigInt64Array.of(1n), [1, 1])]),
  );
  await session.run(feeds, session.outputNames);
}
