import { execFile } from 'node:child_process';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { Agent, type Dispatcher, getGlobalDispatcher, setGlobalDispatcher } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { FakeGateway, fakeEmbedding } from '#src/testing/index.js';
import { repositoryRoot } from '../../helpers/source-file.js';

const closers: (() => Promise<unknown>)[] = [];
let gateway: FakeGateway;

beforeEach(async () => {
  gateway = await FakeGateway.start();
  closers.push(() => gateway.close());
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

function provider(baseUrl: string): WexGatewayProvider {
  const made = new WexGatewayProvider({ baseUrl, apiKey: 'key', maxRetries: 0 });
  closers.push(() => made.close());
  return made;
}

describe('compression', () => {
  const body = JSON.stringify({ data: [{ index: 0, embedding: [0.5, 0.25] }] });

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
    ['deflate', deflateSync],
  ])('is not asked for, and %s is understood if a server does it all the same', async (encoding, compress) => {
    const asked: unknown[] = [];
    const baseUrl = await serve((request, response) => {
      asked.push(request.headers['accept-encoding']);
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': encoding });
      response.end(compress(body));
    });
    const { embeddings } = await provider(baseUrl).generateEmbeddings(['text']);
    expect(embeddings).toEqual([Float32Array.of(0.5, 0.25)]);
    expect(asked).toEqual([undefined]);
  });

  it('that breaks off is a failure that may pass', async () => {
    const baseUrl = await serve((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(body).subarray(0, 30));
    });
    const call = provider(baseUrl).generateEmbeddings(['text']);
    await expect(call).rejects.toMatchObject({ code: 'unavailable', isRetryable: true });
  });
});

describe('a redirect', () => {
  it.each([301, 302, 303, 307, 308])('with status %i is not followed: the key stays if it belongs', async (status) => {
    const baseUrl = await serve((_, response) => {
      response.writeHead(status, { location: `${gateway.baseUrl}/embeddings` }).end();
    });
    const calls = [
      () => provider(baseUrl).generateEmbeddings(['text']),
      () => provider(baseUrl).generateText('Hello'),
      () => provider(baseUrl).streamText('Hello').next(),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toMatchObject({ code: 'invalid_config', status, isRetryable: false });
    }
    expect(gateway.requests).toEqual([]);
  });
});

describe('the global dispatcher', () => {
  it('of the host, such as one for its proxy, carries embeddings and text', async () => {
    const paths: unknown[] = [];
    class CountingAgent extends Agent {
      override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
        paths.push(options.path);
        return super.dispatch(options, handler);
      }
    }
    const before = getGlobalDispatcher();
    const agent = new CountingAgent();
    closers.push(
      async () => setGlobalDispatcher(before),
      () => agent.close(),
    );
    setGlobalDispatcher(agent);
    await provider(gateway.baseUrl).generateEmbeddings(['text']);
    await provider(gateway.baseUrl).generateText('Hello');
    expect(paths).toEqual(['/v1/embeddings', '/v1/chat/completions']);
  });

  it("is left to Node's own fetch if the host has set none", async () => {
    const program = `
      import { WexGatewayProvider } from '@pulse/ai-providers';
      const provider = new WexGatewayProvider({ baseUrl: '${gateway.baseUrl}', apiKey: null });
      const { embeddings } = await provider.generateEmbeddings(['text']);
      const { Agent } = await import('undici');
      const dispatcher = globalThis[Symbol.for('undici.globalDispatcher.1')];
      console.log(JSON.stringify([embeddings[0].length, dispatcher !== undefined, dispatcher instanceof Agent]));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: repositoryRoot,
    });
    expect(JSON.parse(stdout)).toEqual([fakeEmbedding('text', gateway.dimension).length, true, false]);
  });
});
