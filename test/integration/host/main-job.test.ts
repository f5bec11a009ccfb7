import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeGateway } from '#src/testing/fake-gateway.js';
import { type PostgresServer, startPostgres } from '../../helpers/postgres.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** What `npm start` runs after the build, in a process of its own. */
async function runMainJob(env: Record<string, string> = {}): Promise<string> {
  const { PATH, HOME } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', 'examples/main-job/main.ts'], {
    cwd: root,
    env: { PATH, HOME, ...env },
  });
  return stdout;
}

describe('the main job', () => {
  it('runs with nothing but the installed packages', { timeout: 120_000 }, async () => {
    const output = await runMainJob();
    expect(output).toContain('Embeddings  all-MiniLM-L6-v2 in this process, free');
    expect(output.match(/200 points in the space all-MiniLM-L6-v2\|/g)).toHaveLength(2);
    expect(output.match(/150 hits, of them 0 of the other tenant's/g)).toHaveLength(2);
    expect(output).toMatch(/How do I retry[^\n]*\n +0\.\d{3} +p-retry\/README\.md: /);
    expect(output).toMatch(/900001 +sentence_transformers +embedding +all-MiniLM-L6-v2 +\d+ +\d+ +\d+ +0\n/);
    expect(output).toMatch(/900002 +sentence_transformers/);
    const [, page] = /page with charts: (.+)/.exec(output)!;
    expect(await readFile(page!, 'utf8')).toContain('<h1>AI usage</h1>');
  });

  describe('with a gateway and a PostgreSQL server', () => {
    let gateway: FakeGateway;
    let postgres: PostgresServer;
    beforeAll(async () => {
      gateway = await FakeGateway.start({ apiKey: 'a-key-for-this-test', dimension: 1536 });
      postgres = await startPostgres();
    });
    afterAll(async () => {
      await gateway.close();
      await postgres.remove();
    });

    it('runs through them, also a second time', { timeout: 120_000 }, async () => {
      const env = {
        WEX_AI_GATEWAY_BASE_URL: gateway.baseUrl,
        WEX_AI_GATEWAY_API_KEY: 'a-key-for-this-test',
        DATABASE_URL: postgres.connectionString,
      };
      for (let run = 0; run < 2; run++) {
        const output = await runMainJob(env);
        expect(output).not.toContain('a-key-for-this-test');
        expect(output.match(/200 points in the space azure-text-embedding-3-small\|/g)).toHaveLength(2);
        expect(output).toMatch(
          /900001 +wex_ai_gateway +embedding +azure-text-embedding-3-small +\d+ +\d+ +\d+ +0\.\d+\n/,
        );
      }
      expect(gateway.billedRequests.every((request) => request.path.endsWith('/embeddings'))).toBe(true);
      const pool = postgres.openPool();
      const { rows } = await pool.query('select count(*)::int as count from ai_usage_trackings');
      expect(rows[0].count).toBe(gateway.billedRequests.length);
      await pool.end();
    });
  });
});
