import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMcpServer } from '#src/mcp.js';
import { startAdapterHost } from '../../helpers/adapter-host.js';

describe('the MCP server', () => {
  let host: Awaited<ReturnType<typeof startAdapterHost>>;
  let client: Client;
  const tables = { tickets: 'Support tickets.', handbook: 'The company handbook.' };

  beforeEach(async () => {
    host = await startAdapterHost();
    const { index, store } = host;
    const records = (texts: string[]) => texts.map((text, i) => ({ recordId: i, text, metadata: { title: text } }));
    await index.upsert(records(['Import stopped', 'Login fails']), { tenantId: 7, tableName: 'tickets' });
    await index.upsert(records(['Secret of another tenant']), { tenantId: 8, tableName: 'tickets' });
    const server = await createMcpServer({ index, store, tenantId: 7, tables, scoreThreshold: -1 });
    client = new Client({ name: 'test', version: '1.0.0' });
    const [near, far] = InMemoryTransport.createLinkedPair();
    await Promise.all([server.connect(far), client.connect(near)]);
  });
  afterEach(async () => {
    await client.close();
    await host.close();
  });

  const call = async (name: string, args: Record<string, unknown> = {}) => {
    const result = await client.callTool({ name, arguments: args });
    const [part] = result.content as { text: string }[];
    return { isError: result.isError === true, text: part?.text ?? '' };
  };

  it('offers two tools that only read, and says which tables there are', async () => {
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(['list', 'search']);
    expect(tools.every(({ annotations }) => annotations?.readOnlyHint === true)).toBe(true);
    expect(tools[1]?.description).toContain('tickets (Support tickets.)');
    expect(JSON.stringify(tools)).not.toMatch(/tenant/i);
    expect(JSON.parse((await call('list')).text)).toEqual([
      { table: 'tickets', description: 'Support tickets.', records: 2 },
      { table: 'handbook', description: 'The company handbook.', records: 0 },
    ]);
  });

  it('finds records of its tenant only, whatever the model asks for', async () => {
    const { text } = await call('search', { query: 'Import stopped', table: 'tickets', limit: 5 });
    const hits = JSON.parse(text) as { recordId: number; score: number; metadata: { title: string } }[];
    expect(hits[0]).toMatchObject({ recordId: 0, metadata: { title: 'Import stopped' } });
    expect(text).not.toContain('another tenant');
    const tricked = await call('search', { query: 'Secret', table: 'tickets', tenantId: 8, limit: 50 });
    expect(tricked.text).not.toContain('another tenant');
  });

  it('answers a table that is not offered, bad arguments and failures as errors of the tool', async () => {
    expect(await call('search', { query: 'x', table: 'payroll' })).toMatchObject({ isError: true });
    expect(await call('search', { query: '', table: 'tickets' })).toMatchObject({ isError: true });
    expect(await call('search', { query: 'x', table: 'tickets', limit: 5_000 })).toMatchObject({ isError: true });
    const missing = await call('search', { query: 'x', table: 'handbook' });
    expect(missing).toMatchObject({ isError: true, text: expect.stringContaining('collection_not_found') });
    const { index } = host;
    index.search = () => Promise.reject(new Error('password=secret'));
    expect((await call('search', { query: 'x', table: 'tickets' })).text).toBe('The tool failed inside the server.');
  });

  it('checks its options', async () => {
    const { index } = host;
    await expect(createMcpServer({ index, tenantId: 0, tables })).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(createMcpServer({ index, tenantId: 7, tables: {} })).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
