import type { EngineOptions } from './embedding-engine.js';
import { LazyEngine } from './lazy-engine.js';

/** One provider's hold on an engine. */
export interface EngineLease {
  readonly engine: LazyEngine;
  /** Closes the engine when nobody else holds it. May be called again. */
  release(): Promise<void>;
}

/** Shares one engine, with its threads and weights, among all providers of the same model. */
export class EngineRegistry {
  readonly #entries = new Map<string, { readonly engine: LazyEngine; holders: number }>();

  acquire(options: EngineOptions): EngineLease {
    const key = JSON.stringify(options);
    const entry = this.#entries.get(key) ?? { engine: new LazyEngine(options), holders: 0 };
    entry.holders++;
    this.#entries.set(key, entry);
    let isReleased = false;
    return {
      engine: entry.engine,
      release: async () => {
        if (isReleased) return;
        isReleased = true;
        if (--entry.holders > 0) return;
        this.#entries.delete(key);
        await entry.engine.close();
      },
    };
  }
}
