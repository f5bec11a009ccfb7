/** What is needed of the host's `pg.Pool`. Structural, so that any version's types fit. */
export interface PostgresPool {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
  connect(): Promise<PostgresConnection>;
}

export interface PostgresConnection {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  off(event: 'error', listener: (error: Error) => void): unknown;
  /** Back to the pool, or with `true` closed. */
  release(destroy?: boolean): void;
}

/**
 * A lock of this process's own connection: PostgreSQL gives it free when the connection ends, so also when the process
 * is killed.
 */
export interface HeldLock {
  /** Aborted if the connection breaks: the lock is then no longer held. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

/** Takes the lock with that name, or returns undefined if another connection has it. */
export async function tryLock(pool: PostgresPool, name: string): Promise<HeldLock | undefined> {
  const connection = await pool.connect();
  const lost = new AbortController();
  const onError = (error: Error) => lost.abort(error);
  connection.on('error', onError);
  const end = (destroy: boolean) => {
    connection.off('error', onError);
    connection.release(destroy);
  };
  try {
    const { rows } = await connection.query('select pg_try_advisory_lock(hashtextextended($1, 0)) as taken', [name]);
    if ((rows[0] as { taken?: boolean } | undefined)?.taken !== true) {
      end(false);
      return undefined;
    }
  } catch (error) {
    end(true);
    throw error;
  }
  return {
    lost: lost.signal,
    async release() {
      try {
        await connection.query('select pg_advisory_unlock(hashtextextended($1, 0))', [name]);
        end(false);
      } catch {
        // A closed connection holds no lock.
        end(true);
      }
    },
  };
}
