import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UsageEvent } from '#src/core/ports/usage-recorder.js';
import type { SentenceTransformersOptions } from '#src/providers/sentence-transformers/options.js';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';
import { cosine } from '../../helpers/mini-lm-reference.js';
import { tinyBertFiles, writeFiles } from '../../helpers/tiny-bert.js';

let folder: string;
let modelFolder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-stream-'));
  modelFolder = join(folder, 'model');
  await writeFiles(modelFolder, await tinyBertFiles());
});
afterAll(() => rm(folder, { recursive: true }));

const open = (options: SentenceTransformersOptions = {}) =>
  new SentenceTransformersProvider({ model: 'acme/tiny', modelFolder, cacheFolder: folder, ...options });
const texts = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `text ${'word '.repeat(index % 40)}${index}`);

describe('embedStream', () => {
  it('yields every vector in order, reading only a little ahead of what is taken', async () => {
    await using provider = open();
    const expected = (await provider.generateEmbeddings(texts(40))).embeddings;
    let read = 0;
    async function* source() {
      for (let index = 0; index < 20_000; index++) {
        read++;
        yield texts(40)[index % 40]!;
      }
    }
    let taken = 0;
    for await (const vector of provider.embedStream(source())) {
      if (taken % 997 === 0) expect(cosine(vector, expected[taken % 40]!)).toBeGreaterThan(0.99999);
      expect(read - taken).toBeLessThanOrEqual(256 * 4 + 1);
      taken++;
    }
    expect(taken).toBe(20_000);
  });

  it('ends its source and its work when its consumer leaves, and records what was done', async () => {
    const usage: UsageEvent[] = [];
    await using provider = open({ usageRecorder: { record: async (event) => void usage.push(event) } });
    let isSourceEnded = false;
    async function* source() {
      try {
        for (;;) yield 'a text without an end';
      } finally {
        isSourceEnded = true;
      }
    }
    for await (const vector of provider.embedStream(source())) {
      expect(vector).toHaveLength(16);
      break;
    }
    expect(isSourceEnded).toBe(true);
    expect(usage).toHaveLength(1);
    expect(usage[0]!.inputCount).toBeGreaterThanOrEqual(256);
  });

  it('names the position of a bad text in the stream, after the vectors before its chunk', async () => {
    await using provider = open();
    const stream = provider.embedStream([...Array<string>(300).fill('fine'), '', 'fine']);
    let taken = 0;
    const consume = async (): Promise<void> => {
      for await (const _ of stream) taken++;
    };
    await expect(consume()).rejects.toMatchObject({ code: 'invalid_input', position: 300 });
    expect(taken).toBe(256);
  });

  it('rethrows the reason of an abort', async () => {
    await using provider = open();
    const abort = new AbortController();
    const reason = new Error('stop');
    const consume = async (): Promise<void> => {
      for await (const _ of provider.embedStream(texts(5000), { signal: abort.signal })) abort.abort(reason);
    };
    await expect(consume()).rejects.toBe(reason);
  });
});

/** Gives two texts and then nothing more; tells when it was told to end. */
function silentSource() {
  let given = 0;
  const source = {
    isEnded: false,
    next: () =>
      given < 2 ? Promise.resolve({ done: false as const, value: `text ${given++}` }) : new Promise<never>(() => {}),
    return: () => {
      source.isEnded = true;
      return new Promise<never>(() => {});
    },
    [Symbol.asyncIterator]: () => source,
  };
  return source;
}

describe('embedStream of a source that falls silent', () => {
  it('has given the vectors of what came before', async () => {
    await using provider = open();
    const stream = provider.embedStream(silentSource());
    const { embeddings } = await provider.generateEmbeddings(['text 0', 'text 1']);
    for (const expected of embeddings) expect(cosine((await stream.next()).value!, expected)).toBeGreaterThan(0.99999);
  });

  it('ends at once with the reason of an abort', async () => {
    await using provider = open();
    const abort = new AbortController();
    const source = silentSource();
    const stream = provider.embedStream(source, { signal: abort.signal });
    await stream.next();
    await stream.next();
    const third = stream.next();
    const reason = new Error('enough');
    abort.abort(reason);
    await expect(third).rejects.toBe(reason);
    expect(source.isEnded).toBe(true);
  });

  it('ends at once where the provider is closed', async () => {
    const provider = open();
    const source = silentSource();
    const stream = provider.embedStream(source);
    await stream.next();
    await stream.next();
    const third = expect(stream.next()).rejects.toMatchObject({ code: 'aborted_by_close', provider: provider.id });
    await provider.close();
    await third;
    expect(source.isEnded).toBe(true);
  });

  it('ends at once where its consumer leaves', async () => {
    await using provider = open();
    const source = silentSource();
    const stream = provider.embedStream(source);
    await stream.next();
    await stream.next();
    const third = stream.next();
    expect(await stream.return()).toEqual({ done: true, value: undefined });
    expect(await third).toEqual({ done: true, value: undefined });
    expect(source.isEnded).toBe(true);
  });
});

describe('embedStream of a source that', () => {
  it('fails: its error comes after the vectors of what it gave', async () => {
    await using provider = open();
    const mine = new RangeError('the end of the file is missing');
    function* source() {
      yield* texts(300);
      throw mine;
    }
    let taken = 0;
    const consume = async (): Promise<void> => {
      for await (const _ of provider.embedStream(source())) taken++;
    };
    await expect(consume()).rejects.toBe(mine);
    expect(taken).toBe(300);
  });

  it.each([
    ['is a string', 'hello world', 'got a string of 11 characters'],
    ['is a number', 5, 'got 5'],
    ['is missing', undefined, 'got undefined'],
  ])('%s is refused', async (_, source, came) => {
    await using provider = open();
    await expect(provider.embedStream(source as never).next()).rejects.toMatchObject({
      code: 'invalid_input',
      message: expect.stringContaining(came),
    });
  });
});
