import { describe, expect, it } from 'vitest';
import { readEvents } from '#src/providers/wex-gateway/text/event-stream.js';

const silence = { timeoutMs: 10_000, signals: [], timeoutError: () => new Error('silent') };

async function read(
  body: string,
  chunkLength: number,
  headers: Readonly<Record<string, string>> = {},
): Promise<unknown[]> {
  const bytes = new TextEncoder().encode(body);
  const chunks = Array.from({ length: Math.ceil(bytes.length / chunkLength) }, (_, i) =>
    bytes.subarray(i * chunkLength, (i + 1) * chunkLength),
  );
  const events: unknown[] = [];
  const response = new Response(ReadableStream.from(chunks) as ReadableStream<Uint8Array>, { headers });
  for await (const event of readEvents(response, silence)) events.push(event);
  return events;
}

describe('readEvents', () => {
  it.each([1, 2, 3, 7, 10_000])('reads what servers send, in chunks of %i bytes', async (chunkLength) => {
    const body = [
      ': a comment',
      'event: message\ndata: {"a": "字👩‍🚀é"}',
      'id: 7\r\ndata:{"b":1}\r\n\r\n\r',
      'data: {"c":\ndata: 2}',
      'data: [DONE]',
    ];
    const events = [{ a: '字👩‍🚀é' }, { b: 1 }, { c: 2 }];
    expect(await read(body.map((event) => `${event}\n\n`).join(''), chunkLength)).toEqual(events);
    expect(await read(body.join('\n\n'), chunkLength)).toEqual(events);
  });

  it('reads nothing from nothing', async () => {
    expect(await read('', 1)).toEqual([]);
    expect(await read('\n\n: only a comment\n\n', 1)).toEqual([]);
  });

  it('takes a body of JSON for one event', async () => {
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    expect(await read('{"a":\n\n1}', 3, headers)).toEqual([{ a: 1 }]);
  });

  it('throws what the server tells of as the client would', async () => {
    const error = { code: 'server_error', message: 'no' };
    const reading = read(`data: {"a":1}\n\ndata: ${JSON.stringify({ error })}\n\n`, 5, { 'x-request-id': 'req-7' });
    await expect(reading).rejects.toMatchObject({ code: 'server_error', error });
    await expect(read('data: {"a":\n\n', 5)).rejects.toThrow(SyntaxError);
  });

  it('reads a long event in linear time, however many chunks it takes', async () => {
    const text = 'x'.repeat(2 ** 20);
    const startedAt = performance.now();
    expect(await read(`data: ${JSON.stringify({ text })}\n\n`, 64)).toEqual([{ text }]);
    // A search from the start for each of 16,384 chunks would look at 8 GB.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});
