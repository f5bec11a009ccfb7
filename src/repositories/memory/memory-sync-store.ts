import type { DeadLetter, SyncCheckpoint, SyncStore, SyncTable } from '../../core/ports/sync-store.js';

/** Checkpoints and dead letters in this process's memory: for tests and scripts. They end with the process. */
export class MemorySyncStore implements SyncStore {
  readonly #checkpoints = new Map<string, SyncCheckpoint>();
  readonly #letters = new Map<string, Map<string | number, DeadLetter>>();

  async loadCheckpoint(table: SyncTable): Promise<SyncCheckpoint | undefined> {
    return this.#checkpoints.get(keyOf(table));
  }

  async saveCheckpoint(table: SyncTable, checkpoint: SyncCheckpoint | undefined): Promise<void> {
    if (checkpoint === undefined) this.#checkpoints.delete(keyOf(table));
    else this.#checkpoints.set(keyOf(table), { ...checkpoint });
  }

  async listDeadLetters(table: SyncTable): Promise<DeadLetter[]> {
    return [...this.#lettersOf(table).values()];
  }

  async saveDeadLetters(table: SyncTable, letters: readonly DeadLetter[]): Promise<void> {
    const all = this.#lettersOf(table);
    for (const letter of letters) all.set(letter.recordId, { ...letter });
  }

  async removeDeadLetters(table: SyncTable, recordIds: readonly (string | number)[]): Promise<void> {
    const all = this.#lettersOf(table);
    for (const id of recordIds) all.delete(id);
  }

  #lettersOf(table: SyncTable): Map<string | number, DeadLetter> {
    const key = keyOf(table);
    let letters = this.#letters.get(key);
    if (letters === undefined) {
      letters = new Map();
      this.#letters.set(key, letters);
    }
    return letters;
  }
}

function keyOf({ tenantId, tableName }: SyncTable): string {
  return `${tenantId}:${tableName}`;
}
