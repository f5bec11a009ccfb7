import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeGateway } from '#src/testing/fake-gateway.js';
import { repositoryRoot } from '../helpers/source-file.js';

const { PATH, HOME } = process.env;
const environment = (variables: Record<string, string> = {}) => ({ PATH, HOME, ...variables });
const command = (example: string) => ['--import', 'tsx', join('examples', example, 'main.ts')];

it('every example is run by a test', () => {
  const examples = readdirSync(join(repositoryRoot, 'examples')).filter((name) => name !== 'shared');
  // The main job is run by test/integration/main-job.test.ts.
  expect(examples.toSorted()).toEqual(['backend-service', 'etl-service', 'main-job']);
});

describe('the ETL service', () => {
  const run = async (variables?: Record<string, string>) =>
    (
      await promisify(execFile)(process.execPath, command('etl-service'), {
        cwd: repositoryRoot,
        env: environment(variables),
      })
    ).stdout;

  it('loads what changed, with the local model', { timeout: 120_000 }, async () => {
    expect(await run()).toMatch(
      new RegExp(
        [
          'First load, tenant 7: 100 loaded, 0 deleted, 0 refused',
          'First load, tenant 8: 100 loaded, 0 deleted, 0 refused',
          'Second load, tenant 7: 5 loaded, 1 deleted, 0 refused',
          'Second load, tenant 8: 0 loaded, 0 deleted, 0 refused',
          'Tenant 7 finds: The invoice report shows wrong totals .*',
          'Tenant 8 finds: The invoice report shows wrong totals .*',
          '\\d+ usage rows account for 207 texts',
        ].join('\n'),
      ),
    );
  });

  it('goes on without the texts that the gateway refuses', { timeout: 120_000 }, async () => {
    await using gateway = await FakeGateway.start({
      fault: ({ inputs }) =>
        inputs.some((text) => text.includes('(case 13)')) ? { kind: 'status', status: 400 } : undefined,
    });
    const output = await run({ WEX_AI_GATEWAY_BASE_URL: gateway.baseUrl, WEX_AI_GATEWAY_API_KEY: 'key' });
    expect(output).toContain('First load, tenant 7: 99 loaded, 0 deleted, 1 refused');
    expect(output).toContain('Second load, tenant 7: 5 loaded, 1 deleted, 0 refused');
  });
});

describe('the backend service', () => {
  let gateway: FakeGateway;
  let service: ChildProcess;
  let url: string;
  const log: string[] = [];

  beforeAll(async () => {
    gateway = await FakeGateway.start({ apiKey: 'a-key-for-this-test', completion: () => 'A summary.' });
    service = spawn(process.execPath, command('backend-service'), {
      cwd: repositoryRoot,
      env: environment({
        PORT: '0',
        TENANTS: '7',
        WEX_AI_GATEWAY_BASE_URL: gateway.baseUrl,
        WEX_AI_GATEWAY_API_KEY: 'a-key-for-this-test',
      }),
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface({ input: service.stdout! });
    lines.on('line', (line) => log.push(line));
    const [line] = (await once(lines, 'line')) as [string];
    url = `http://127.0.0.1:${(JSON.parse(line) as { readonly port: number }).port}/tenants`;
  });
  afterAll(async () => {
    service.kill('SIGKILL');
    await gateway.close();
  });

  async function request(method: string, path: string, requestBody?: unknown) {
    const response = await fetch(`${url}/${path}`, {
      method,
      ...(requestBody ? { body: typeof requestBody === 'string' ? requestBody : JSON.stringify(requestBody) } : {}),
    });
    // biome-ignore lint/suspicious/noExplicitAny: what the service answers is what the tests look at.
    const body = (await response.json()) as any;
    return { status: response.status, headers: response.headers, body };
  }

  it('stores and finds notes through the gateway, and with the local model if a tenant has none', {
    timeout: 120_000,
  }, async () => {
    for (const tenant of [7, 8]) {
      await request('PUT', `${tenant}/notes/1`, { text: `The import stopped (${tenant})` });
      const stored = await request('PUT', `${tenant}/notes/2`, { text: `Lunch is at noon (${tenant})` });
      expect(stored).toMatchObject({ status: 200, body: { id: expect.any(String) } });
      const found = await request('GET', `${tenant}/notes?q=${encodeURIComponent(`The import stopped (${tenant})`)}`);
      expect(found.body[0]).toMatchObject({ noteId: '1', text: `The import stopped (${tenant})` });
      expect(found.body.every(({ text }: { text: string }) => text.endsWith(`(${tenant})`))).toBe(true);
    }
    const health = await Promise.all([7, 8].map((tenant) => request('GET', `${tenant}/health`)));
    expect(health.map(({ body }) => body[0].provider)).toEqual(['wex_ai_gateway', 'sentence_transformers']);
  });

  it('summarises', async () => {
    expect(await request('POST', '7/summaries', { text: 'A long text.' })).toMatchObject({
      status: 200,
      body: { text: 'A summary.', provider: 'wex_ai_gateway', failedOver: [] },
    });
  });

  it.each([
    ['a tenant that is none', 'GET', 'x/notes?q=text', undefined, 400, 'invalid_input'],
    ['an empty query', 'GET', '7/notes', undefined, 400, 'invalid_input'],
    ['a body that is not JSON', 'PUT', '7/notes/3', 'no JSON', 400, 'invalid_input'],
    ['a body without an object', 'PUT', '7/notes/3', 'null', 400, 'invalid_input'],
    ['a body without text', 'PUT', '7/notes/3', {}, 400, 'invalid_input'],
    ['a tenant without notes', 'GET', '9/notes?q=text', undefined, 404, 'collection_not_found'],
    ['text for a tenant without a gateway', 'POST', '8/summaries', { text: 'A text.' }, 409, 'integration_not_found'],
    ['an unknown resource', 'GET', '7/nothing', undefined, 404, 'not_found'],
  ])('answers %s with what is wrong', async (_, method, path, body, status, code) => {
    expect(await request(method, path, body)).toMatchObject({ status, body: { code } });
  });

  it('says when to come back while the gateway is in trouble, and nothing of the key', async () => {
    gateway.fault = () => ({ kind: 'status', status: 503 });
    const { status, headers, body } = await request('POST', '7/summaries', { text: 'A long text.' });
    gateway.fault = () => undefined;
    expect(status).toBe(503);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(JSON.stringify(body) + log.join('')).not.toContain('a-key-for-this-test');
  });

  it('finishes and ends by itself when asked to', async () => {
    service.kill('SIGTERM');
    expect(await once(service, 'exit')).toEqual([0, null]);
  });
});
