import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SentenceTransformersOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { FakeHub } from '../../helpers/fake-hub.js';
import { tinyBertFiles, tinyBertOnnx } from '../../helpers/tiny-bert.js';

const model = 'acme/tiny-bert';
let hub: FakeHub;
let cacheFolder: string;

beforeEach(async () => {
  hub = await FakeHub.start(await tinyBertFiles());
  cacheFolder = await mkdtemp(join(tmpdir(), 'local-hub-'));
});
afterEach(async () => {
  await hub.stop();
  await rm(cacheFolder, { recursive: true });
});

async function embed(options: SentenceTransformersOptions = {}): Promise<Float32Array> {
  const all = { model, cacheFolder, hubEndpoint: hub.endpoint, maxWorkers: 1, ...options };
  await using provider = new SentenceTransformersProvider(all);
  return await provider.embedDocument('a text');
}

describe('a model of the Hub', () => {
  it('is downloaded once, its branch pinned to the commit that it stood for', async () => {
    const vector = await embed();
    expect(vector).toHaveLength(16);
    const seen = hub.requests.length;
    hub.commit = '0'.repeat(40);
    expect(await embed()).toEqual(vector);
    expect(hub.requests).toHaveLength(seen);
  });

  it('is not downloaded to find out how it is', async () => {
    await using provider = new SentenceTransformersProvider({ model, cacheFolder, hubEndpoint: hub.endpoint });
    expect(await provider.health()).toMatchObject({ status: 'unhealthy', detail: expect.stringContaining('offline') });
    expect(hub.requests).toEqual([]);
    await provider.embedDocument('a text');
    expect(await provider.health()).toMatchObject({ status: 'healthy' });
  });

  it('is taken at a pinned commit', async () => {
    const revision = 'a'.repeat(40);
    hub.commit = revision;
    await embed({ revision });
    expect(hub.requests[0]!.path).toBe(`/api/models/${model}/revision/${revision}`);
    expect(hub.downloads.every(({ path, host }) => host === 'cdn' || path.includes(`/resolve/${revision}/`))).toBe(
      true,
    );
  });

  it('brings its own ONNX file where it has one', async () => {
    const fromSafetensors = await embed();
    hub.files.set('onnx/model.onnx', await tinyBertOnnx());
    hub.files.delete('model.safetensors');
    expect(await embed({ cacheFolder: join(cacheFolder, 'second') })).toEqual(fromSafetensors);
  });

  it('sends the token to the Hub and to no other host', async () => {
    await embed({ hubToken: 'hf_secret' });
    for (const { host, authorization } of hub.requests) {
      expect(authorization).toBe(host === 'hub' ? 'Bearer hf_secret' : undefined);
    }
    expect(hub.requests.some(({ host }) => host === 'cdn')).toBe(true);
  });

  it('reports the progress of each file up to its last byte', async () => {
    const last = new Map<string, [number, number | undefined]>();
    await embed({
      onDownloadProgress: ({ file, loadedBytes, totalBytes }) => last.set(file, [loadedBytes, totalBytes]),
    });
    const size = hub.files.get('model.safetensors')!.byteLength;
    expect(last.get('model.safetensors')).toEqual([size, size]);
    expect([...last.keys()].sort()).toEqual([...hub.files.keys()].sort());
  });
});

describe('a download that fails', () => {
  it('is resumed where the connection broke', async () => {
    hub.cutAfterBytes = 500_000;
    await expect(embed()).rejects.toMatchObject({ code: 'model_unavailable', isRetryable: true });
    hub.cutAfterBytes = undefined;
    expect(await embed()).toHaveLength(16);
    const ranges = hub.requests.filter(({ host }) => host === 'cdn').map(({ range }) => range);
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
  });

  it('starts again where the server ignores ranges', async () => {
    hub.cutAfterBytes = 500_000;
    await expect(embed()).rejects.toMatchObject({ isRetryable: true });
    hub.cutAfterBytes = undefined;
    hub.ignoresRanges = true;
    expect(await embed()).toHaveLength(16);
    expect(hub.requests.at(-1)!.range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it.each(['model.safetensors', 'tokenizer.json'])('is not believed when the checksum of %s differs', async (name) => {
    hub.corruptFile = name;
    await expect(embed()).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable: true,
      message: expect.stringContaining(`checksum of ${name}`),
    });
    hub.corruptFile = undefined;
    expect(await embed()).toHaveLength(16);
  });

  it.each([
    [404, false, /no such model/],
    [401, false, /valid token/],
    [403, false, /may not read/],
    [429, true, /429/],
    [503, true, /503/],
  ])('status %i', async (status, isRetryable, message) => {
    hub.status = status;
    await expect(embed()).rejects.toMatchObject({
      code: 'model_unavailable',
      isRetryable,
      message: expect.stringMatching(message),
    });
  });

  it('a repository without weights is named as such', async () => {
    hub.files.delete('model.safetensors');
    await expect(embed()).rejects.toThrow(/neither .*onnx\/model\.onnx nor .* nor model\.safetensors/);
  });
});

describe('processes', () => {
  const root = resolve(import.meta.dirname, '../../..');
  const providerFile = resolve(root, 'src/providers/sentence-transformers/provider.ts');
  const start = async () => {
    const script = join(cacheFolder, 'download.mts');
    const options = { model, cacheFolder, hubEndpoint: hub.endpoint };
    await writeFile(
      script,
      `import { SentenceTransformersProvider } from ${JSON.stringify(providerFile)};
       const provider = new SentenceTransformersProvider(${JSON.stringify(options)});
       console.log((await provider.embedDocument('a text')).length);`,
    );
    const child = promisify(execFile)(process.execPath, ['--import', 'tsx', script], { cwd: root, timeout: 25_000 });
    return { child: child.child, output: child.then(({ stdout }) => stdout) };
  };

  it('what a killed one had downloaded is resumed by the next', async () => {
    hub.stallAfterBytes = 900_000;
    const stalled = new Promise<void>((resume) => {
      hub.onStall = resume;
    });
    const { child, output } = await start();
    const ended = output.catch(() => {});
    await stalled;
    const partials = join(cacheFolder, 'downloads');
    const isWritten = (): boolean => readdirSync(partials).some((name) => statSync(join(partials, name)).size > 0);
    while (!isWritten()) await new Promise((resume) => setImmediate(resume));
    child.kill('SIGKILL');
    await ended;
    hub.stallAfterBytes = undefined;
    expect(await embed()).toHaveLength(16);
    expect(hub.requests.at(-1)!.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(readdirSync(partials)).toEqual([]);
  });

  it('several at once all get a whole model', async () => {
    const started = await Promise.all([start(), start(), start()]);
    expect(await Promise.all(started.map(({ output }) => output))).toEqual(['16\n', '16\n', '16\n']);
  });
});

describe('fromEnv', () => {
  it('an option that is given as undefined takes nothing of the environment away', async () => {
    const env = { HF_HOME: cacheFolder, HF_ENDPOINT: hub.endpoint };
    await using provider = SentenceTransformersProvider.fromEnv({ model, cacheFolder: undefined }, env);
    await provider.embeddingSpace();
    expect(readdirSync(join(cacheFolder, 'pulse-ai-providers'))).toContain('acme--tiny-bert');
  });

  it('honours HF_HOME, HF_ENDPOINT and HF_TOKEN', async () => {
    const env = { HF_HOME: cacheFolder, HF_ENDPOINT: hub.endpoint, HF_TOKEN: 'hf_secret' };
    await using provider = SentenceTransformersProvider.fromEnv({ model }, env);
    await provider.embeddingSpace();
    expect(hub.requests[0]!.authorization).toBe('Bearer hf_secret');
    expect(readdirSync(join(cacheFolder, 'pulse-ai-providers'))).toContain('acme--tiny-bert');
  });

  it('HF_HUB_OFFLINE asks nothing of the Hub', async () => {
    const env = { HF_HOME: cacheFolder, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: '1' };
    await using provider = SentenceTransformersProvider.fromEnv({ model }, env);
    await expect(provider.embeddingSpace()).rejects.toMatchObject({ code: 'model_unavailable', isRetryable: false });
    expect(hub.requests).toEqual([]);
  });

  it('goes through HTTP_PROXY to an endpoint without TLS, unless NO_PROXY names the host', async () => {
    const tunnels: string[] = [];
    const proxy = createServer().on('connect', (request, client, head) => {
      tunnels.push(request.url!);
      const [host, port] = request.url!.split(':');
      const server = connect(Number(port), host!, () => {
        client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
        server.write(head);
        server.pipe(client).pipe(server);
      });
    });
    await once(proxy.listen(0, '127.0.0.1'), 'listening');
    const HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const env = { HF_HOME: cacheFolder, HF_ENDPOINT: hub.endpoint, HTTP_PROXY };
    await using provider = SentenceTransformersProvider.fromEnv({ model }, env);
    await provider.embeddingSpace();
    expect(tunnels).toContain(hub.endpoint.slice('http://'.length));
    tunnels.length = 0;
    const exempt = { ...env, HF_HOME: join(cacheFolder, 'other'), NO_PROXY: 'localhost, 127.0.0.1' };
    await using direct = SentenceTransformersProvider.fromEnv({ model }, exempt);
    await direct.embeddingSpace();
    expect(tunnels).toEqual([]);
    proxy.closeAllConnections();
    proxy.close();
  });
});
