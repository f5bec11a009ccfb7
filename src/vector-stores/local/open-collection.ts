import type { Collection, Mutation } from './collection.js';

/** Where the changes of one collection are written; a collection in memory has no journal. */
export interface CollectionJournal {
  /** Takes the change at once and returns when it is durable. */
  append(mutation: Mutation): Promise<void>;
  /** Set once a change could not be written: what is in memory is ahead of the disk from then on. */
  readonly failure: Error | undefined;
  /** Set if nothing can be written at all. */
  readonly refusal?: Error;
  close(): Promise<void>;
}

/** A collection and where its changes are written. */
export class OpenCollection {
  readonly collection: Collection;
  readonly #journal: CollectionJournal | undefined;

  constructor(collection: Collection, journal: CollectionJournal | undefined) {
    this.collection = collection;
    this.#journal = journal;
  }

  /** Applies a change at once; returns when it is durable. */
  async change(plan: (collection: Collection) => Mutation): Promise<void> {
    if (this.refusal) throw this.refusal;
    const mutation = plan(this.collection);
    if (isEmpty(mutation)) return;
    this.collection.apply(mutation);
    await this.#journal?.append(mutation);
  }

  /** Set if the collection can only be read. */
  get refusal(): Error | undefined {
    return this.#journal?.refusal;
  }

  get failure(): Error | undefined {
    return this.#journal?.failure;
  }

  async close(): Promise<void> {
    await this.#journal?.close();
  }
}

const isEmpty = (mutation: Mutation): boolean => mutation.kind !== 'configure' && mutation.ids.length === 0;
