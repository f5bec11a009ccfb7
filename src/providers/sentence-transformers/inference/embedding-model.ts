import type { AiProviderError } from '../../../errors.js';
import type { ModelManifest } from '../model/model-manifest.js';
import { firstLine, unusableModel } from '../model/unusable-model.js';
import type { DeviceReport, SessionSettings, TokenizedTexts } from '../threads/worker-protocol.js';
import { type InputName, inputsOf, inputValues } from './model-inputs.js';
import { outputOf, outputValues } from './model-output.js';
import { type OpenSession, openSession, type TensorLike } from './onnx-session.js';
import { pool } from './pooling.js';

/**
 * Which texts may share a run. `padded`: any. `equal_length`: the model has no attention mask, so nothing may be padded. `alone`: its
 * scales are dynamic and span the run, so a text's vector would depend on its company.
 */
type Grouping = 'padded' | 'equal_length' | 'alone';

/** An ONNX session and what stands around it: padding, masks, pooling. Blocks the thread it runs on, so that must be a worker. */
export class EmbeddingModel {
  readonly #open: OpenSession;
  readonly #manifest: ModelManifest;
  readonly #inputs: readonly InputName[];
  readonly #output: string;
  readonly #grouping: Grouping;

  private constructor(open: OpenSession, manifest: ModelManifest) {
    this.#open = open;
    this.#manifest = manifest;
    this.#inputs = inputsOf(open.session, manifest);
    this.#output = outputOf(open.session, manifest);
    if (!this.#inputs.includes('attention_mask')) this.#grouping = 'equal_length';
    else this.#grouping = manifest.dtype === 'int8' ? 'alone' : 'padded';
  }

  /** @throws an error with code `model_unavailable` that names the file or the tensor which does not fit. */
  static async load(manifest: ModelManifest, settings: SessionSettings): Promise<EmbeddingModel> {
    return new EmbeddingModel(await openSession(manifest, settings), manifest);
  }

  get device(): DeviceReport {
    return this.#open.device;
  }

  /**
   * Embeds texts in as few runs as the model allows.
   *
   * @param betweenRuns - Awaited between two runs: a chance to serve somebody more urgent, or to stop.
   * @returns `lengths.length` x `dimension` values, not normalised, all of them finite.
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
      await this.#embedGroup(tokenIds.subarray(from, from + size), group, skipped.subarray(start, end), target);
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

  async #embedGroup(
    tokenIds: Int32Array,
    lengths: Int32Array,
    skipped: Int32Array,
    target: Float32Array,
  ): Promise<void> {
    const { dimension, pooling } = this.#manifest;
    const sequence = lengths.reduce((longest, length) => Math.max(longest, length), 0);
    const tensor = await this.#run(tokenIds, lengths, sequence);
    const values = outputValues(this.#output, tensor, [lengths.length, sequence], this.#manifest);
    // A model that pools by itself gives one vector a text.
    if (tensor.dims.length === 3) pool(values, { lengths, skipped, sequence, dimension, pooling }, target);
    else if (skipped.every((count) => count === 0)) target.set(values);
    else throw this.#unusable(`its output ${this.#output} is pooled with the prompt, which its files leave out`);
    if (!target.every((value) => Number.isFinite(value))) {
      throw this.#unusable(`its output ${this.#output} held a number that is not finite`);
    }
  }

  async #run(tokenIds: Int32Array, lengths: Int32Array, sequence: number): Promise<TensorLike> {
    const { session, Tensor } = this.#open;
    const texts = { tokenIds, lengths, sequence, padTokenId: this.#manifest.padTokenId };
    const feeds: Record<string, unknown> = {};
    for (const name of this.#inputs) {
      feeds[name] = new Tensor('int64', inputValues(name, texts), [lengths.length, sequence]);
    }
    try {
      return (await session.run(feeds, [this.#output]))[this.#output]!;
    } catch (cause) {
      throw this.#unusable(`${this.#manifest.modelFile} failed in a run: ${firstLine(cause)}`, cause);
    }
  }

  #unusable(reason: string, cause?: unknown): AiProviderError {
    return unusableModel(this.#manifest, reason, cause);
  }
}
