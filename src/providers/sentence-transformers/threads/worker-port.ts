import { type ChildProcess, fork } from 'node:child_process';
import { isMainThread, Worker } from 'node:worker_threads';
import { AiProviderError } from '../../../errors.js';
import { untraced } from '../../../internal/load-peer.js';
import { guardWorker } from './native-guard.js';
import { silenceRuntimeTelemetry } from './runtime-telemetry.js';
import { workerFile } from './worker-file.js';
import type { WorkerRequest, WorkerResponse } from './worker-protocol.js';

export interface WorkerEvents {
  onMessage(response: WorkerResponse): void;
  /** Called once, and nothing after it. */
  onEnd(cause: unknown): void;
}

/** The host's end of a worker. */
export interface WorkerPort {
  /** Does nothing when the worker has ended. */
  post(request: WorkerRequest, transfer?: readonly ArrayBuffer[]): void;
  /** Keeps this process alive. */
  ref(): void;
  unref(): void;
}

/**
 * Starts a worker: a thread, or a process when this code itself runs in a worker thread of the host. Whoever ends that thread (`worker.terminate()`, a
 * test runner's pool of threads) ends its threads too, at once. A thread that is ended inside of onnxruntime brings the whole process down, see
 * native-guard.ts; a process of its own ends by itself, after its run.
 *
 * @throws an error with code `worker_crashed` when no thread or process can be started, `missing_dependency` when the worker's file is not there.
 */
export function startWorker(events: WorkerEvents): WorkerPort {
  const file = workerFile();
  silenceRuntimeTelemetry();
  try {
    return isMainThread ? startThread(file, events) : startProcess(file, events);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AiProviderError(
      `A worker ${isMainThread ? 'thread' : 'process'} of the local model could not be started (${reason}). Look at the limits on processes and memory ` +
        'of the user or container, or set `maxWorkers` lower.',
      { code: 'worker_crashed', isRetryable: true, cause },
    );
  }
}

function startThread(file: string, { onMessage, onEnd }: WorkerEvents): WorkerPort {
  const guard = guardWorker();
  let worker: Worker;
  try {
    worker = new (untraced(Worker))(file, { name: 'pulse-embedding', workerData: guard.state, ...threadArguments() });
  } catch (error) {
    guard.release();
    throw error;
  }
  worker.unref();
  let failure: unknown;
  worker.on('message', onMessage);
  worker.on('error', (cause) => {
    failure = cause;
  });
  worker.once('exit', (exitCode) => {
    guard.release();
    onEnd(failure ?? new Error(`the thread ended with exit code ${exitCode}`));
  });
  return {
    post: (request, transfer = []) => worker.postMessage(request, transfer),
    ref: () => worker.ref(),
    unref: () => worker.unref(),
  };
}

/** Threads take over what the process was started with, and refuse what says of which kind the script on the command line is. */
function threadArguments(): { readonly execArgv?: string[] } {
  return process.execArgv.some((argument) => argument.startsWith('--input-type')) ? { execArgv: [] } : {};
}

function startProcess(file: string, { onMessage, onEnd }: WorkerEvents): WorkerPort {
  // Not what the host's thread was started with: it names loaders and inspectors of that thread.
  const child = untraced(fork)(file, [], {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const end = onceOnly(onEnd);
  setRef(child, false);
  child.on('message', (response) => onMessage(response as WorkerResponse));
  child.on('error', (cause) => {
    // One that has started ends with `exit`.
    if (child.pid === undefined) end(cause);
  });
  child.once('exit', (exitCode, signal) =>
    end(new Error(`the process ended with ${signal ?? `exit code ${exitCode}`}`)),
  );
  return {
    // One that has ended cannot be written to; its end is reported by `exit`.
    post: (request) => void (child.connected && child.send(request, () => {})),
    ref: () => setRef(child, true),
    unref: () => setRef(child, false),
  };
}

function setRef(child: ChildProcess, isRef: boolean): void {
  if (isRef) child.ref();
  else child.unref();
  if (isRef) child.channel?.ref();
  else child.channel?.unref();
}

function onceOnly(call: (cause: unknown) => void): (cause: unknown) => void {
  let isCalled = false;
  return (cause) => {
    if (!isCalled) call(cause);
    isCalled = true;
  };
}
