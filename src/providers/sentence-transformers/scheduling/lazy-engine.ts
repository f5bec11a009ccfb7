import { memoizeAsync } from '../../../internal/memoize-async.js';
import type { EmbeddingEngine, EngineOptions } from './embedding-engine.js';
import type { EmbeddedTexts, EmbedOptions } from './embedding-job.js';

/** An engine whose code is loaded at its first call, so that a host that only imports the library does not read it. */
export class LazyEngine implements Pick<EmbeddingEngine, 'manifest' | 'localManifest' | 'device' | 'embed' | 'close'> {
  readonly #load: () => Promise<EmbeddingEngine>;
  #engine: EmbeddingEngine | undefined;
  #isWanted = false;
  #isClosed = false;

  constructor(options: EngineOptions) {
    this.#load = memoizeAsync(async () => {
      this.#isWanted = true;
      const { EmbeddingEngine } = await import('./embedding-engine.js');
      this.#engine = new EmbeddingEngine(options);
      if (this.#isClosed) await this.#engine.close();
      return this.#engine;
    });
  }

  get device() {
    return this.#engine?.device;
  }

  async manifest() {
    return (await this.#load()).manifest();
  }

  async localManifest() {
    return (await this.#load()).localManifest();
  }

  async embed(texts: readonly string[], options: EmbedOptions): Promise<EmbeddedTexts> {
    return (await this.#load()).embed(texts, options);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#isWanted) await (await this.#load()).close();
  }
}
