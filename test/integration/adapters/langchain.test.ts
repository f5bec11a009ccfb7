import { Document } from '@langchain/core/documents';
import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from '@langchain/core/messages';
import { StringOutputParser } from '@langchain/core/output_parsers';
import { ChatPromptTemplate } from '@langchain/core/prompts';
import { tool } from '@langchain/core/tools';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { PulseChatModel, PulseEmbeddings, PulseVectorStore } from '#src/langchain.js';
import { fakeEmbedding } from '#src/testing/fake-embedding.js';
import type { FakeGatewayOptions } from '#src/testing/fake-gateway.js';
import { startAdapterHost } from '../../helpers/adapter-host.js';

let host: Awaited<ReturnType<typeof startAdapterHost>>;
const setUp = async (options?: FakeGatewayOptions) => {
  host = await startAdapterHost(options);
  return host;
};
afterEach(() => host.close());

describe('PulseEmbeddings', () => {
  it('embeds documents and queries in one space', async () => {
    const { manager } = await setUp();
    const embeddings = new PulseEmbeddings({ manager, tenantId: 7 });
    expect(await embeddings.embedDocuments(['a', 'b'])).toEqual([
      Array.from(fakeEmbedding('a', 8)),
      Array.from(fakeEmbedding('b', 8)),
    ]);
    expect(await embeddings.embedQuery('a')).toEqual(Array.from(fakeEmbedding('a', 8)));
    expect(await embeddings.embedDocuments([])).toEqual([]);
    const other = new PulseEmbeddings({
      manager,
      tenantId: 7,
      requiredSpace: 'x|rev=?|dim=8|pool=?|prompts=none|norm=?|dtype=?',
    });
    await expect(other.embedQuery('a')).rejects.toMatchObject({ code: 'embedding_space_mismatch' });
  });
});

describe('PulseVectorStore', () => {
  const table = 'handbook';
  const documents = ['Vacation is 30 days.', 'Laptops are replaced every four years.'].map(
    (pageContent, i) => new Document({ pageContent, metadata: { section: i }, id: `doc-${i}` }),
  );

  it('stores documents, finds them through a retriever, and deletes them', async () => {
    const { index, manager } = await setUp();
    const store = new PulseVectorStore({ index, manager, tenantId: 7, tableName: table, scoreThreshold: -1 });
    expect(await store.addDocuments(documents)).toEqual(['doc-0', 'doc-1']);
    const [best] = await store.asRetriever({ k: 1 }).invoke('Vacation is 30 days.');
    expect(best).toMatchObject({ id: 'doc-0', pageContent: 'Vacation is 30 days.', metadata: { section: 0 } });
    expect(best?.metadata).not.toHaveProperty('page_content');
    const filter = { must: [{ key: 'section', match: { value: 1 } }] };
    const [[document, score]] = (await store.similaritySearchWithScore('Vacation', 5, filter)) as [[Document, number]];
    expect(document.id).toBe('doc-1');
    expect(score).toBeLessThanOrEqual(1);
    await store.delete({ ids: ['doc-0'] });
    expect((await store.similaritySearch('Vacation is 30 days.', 5)).map(({ id }) => id)).toEqual(['doc-1']);
  });

  it('keeps tenants apart, and takes no vectors of unknown models', async () => {
    const { index, manager } = await setUp();
    const options = { index, manager, tableName: table, scoreThreshold: -1 };
    const mine = new PulseVectorStore({ ...options, tenantId: 7 });
    const theirs = new PulseVectorStore({ ...options, tenantId: 8 });
    await mine.addDocuments(documents);
    await theirs.addDocuments(documents.slice(0, 1), { ids: ['theirs'] });
    expect((await theirs.similaritySearch('Laptops', 10)).map(({ id }) => id)).toEqual(['theirs']);
    await expect(mine.addVectors()).rejects.toMatchObject({ code: 'unsupported_operation' });
    await expect(mine.similaritySearchVectorWithScore()).rejects.toMatchObject({ code: 'unsupported_operation' });
  });
});

describe('PulseChatModel', () => {
  it('answers in a chain, with usage and cost in the message', async () => {
    const { manager, gateway } = await setUp();
    const model = new PulseChatModel({ manager, tenantId: 7, temperature: 0.5 });
    const chain = ChatPromptTemplate.fromMessages([
      ['system', 'Be loud.'],
      ['human', '{question}'],
    ])
      .pipe(model)
      .pipe(new StringOutputParser());
    expect(await chain.invoke({ question: 'hello' })).toBe('HELLO');
    expect(gateway.billedRequests[0]?.body).toMatchObject({
      temperature: 0.5,
      messages: [
        { role: 'system', content: 'Be loud.' },
        { role: 'user', content: 'hello' },
      ],
    });
    const message = await model.invoke('hello');
    expect(message.usage_metadata).toMatchObject({ input_tokens: 5 });
    expect(message.response_metadata).toMatchObject({ provider: 'wex_ai_gateway', finish_reason: 'stop' });
    expect(Number(message.response_metadata.cost)).toBeGreaterThan(0);
  });

  it('streams', async () => {
    const { manager } = await setUp();
    const model = new PulseChatModel({ manager, tenantId: 7 });
    const chunks = [];
    for await (const chunk of await model.stream('a longer prompt')) chunks.push(chunk);
    expect(chunks.map(({ content }) => content).join('')).toBe('A LONGER PROMPT');
    expect(chunks.length).toBeGreaterThan(2);
    expect(chunks.map((chunk) => chunk.usage_metadata)).toContainEqual(expect.objectContaining({ input_tokens: 15 }));
  });

  it('calls tools, whole and streamed, and takes what they gave', async () => {
    const { manager, gateway } = await setUp({
      completion: ({ body }) =>
        (body.messages as { role: string }[]).at(-1)?.role === 'tool'
          ? 'It is 21 degrees.'
          : {
              tool_calls: [
                { id: 'call-1', type: 'function', function: { name: 'weather', arguments: '{"city":"Porto"}' } },
              ],
            },
    });
    const weather = tool(async () => '21 degrees', {
      name: 'weather',
      description: 'The weather of a city.',
      schema: z.object({ city: z.string() }),
    });
    const model = new PulseChatModel({ manager, tenantId: 7 }).bindTools([weather], { tool_choice: 'any' });
    const asked = await model.invoke([new SystemMessage('x'), new HumanMessage('How warm is it in Porto?')]);
    expect(asked.tool_calls).toMatchObject([{ id: 'call-1', name: 'weather', args: { city: 'Porto' } }]);
    expect(gateway.billedRequests[0]?.body).toMatchObject({
      tool_choice: 'required',
      tools: [{ type: 'function', function: { name: 'weather', parameters: { required: ['city'] } } }],
    });
    const answer = await model.invoke([
      new HumanMessage('How warm is it in Porto?'),
      new AIMessage({ content: '', tool_calls: asked.tool_calls ?? [] }),
      new ToolMessage({ content: '21 degrees', tool_call_id: 'call-1' }),
    ]);
    expect(answer.content).toBe('It is 21 degrees.');
    let gathered: Awaited<ReturnType<typeof model.invoke>> | undefined;
    for await (const chunk of await model.stream('How warm is it in Porto?')) {
      gathered = gathered === undefined ? chunk : gathered.concat(chunk);
    }
    expect(gathered?.tool_calls).toMatchObject([{ name: 'weather', args: { city: 'Porto' } }]);
  });

  it('does not let LangChain retry, and hands its abort on', async () => {
    const { manager, gateway } = await setUp({ fault: () => ({ kind: 'status', status: 503 }) });
    const model = new PulseChatModel({ manager, tenantId: 7 });
    await expect(model.invoke('x')).rejects.toMatchObject({ code: 'unavailable' });
    expect(gateway.billedRequests).toHaveLength(1);
    gateway.fault = () => ({ kind: 'stall' });
    const controller = new AbortController();
    const call = model.invoke('x', { signal: controller.signal });
    const outcome = expect(call).rejects.toThrow();
    await expect.poll(() => gateway.requests.length).toBe(2);
    controller.abort(new Error('The user left.'));
    await outcome;
    await expect.poll(() => gateway.openRequestCount).toBe(0);
  });

  it('refuses images', async () => {
    const { manager } = await setUp();
    const model = new PulseChatModel({ manager, tenantId: 7 });
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } };
    await expect(model.invoke([new HumanMessage({ content: [image] })])).rejects.toMatchObject({
      code: 'invalid_input',
    });
  });
});
