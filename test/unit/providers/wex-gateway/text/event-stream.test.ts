import { describe, expect, it } from 'vitest';
import { UnreadableBody } from '#src/providers/wex-gateway/calls/to-provider-error.js';
import { readEvents, streamDone } from '#src/providers/wex-gateway/text/event-stream.js';

async function read(body: string, chunkLength: number): Promise<unknown[]> {
  const bytes = new TextEncoder().encode(body);
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunkLength) yield bytes.subarray(at, at + chunkLength);
  }
  const events: unknown[] = [];
  for await (const event of readEvents(chunks(), new Headers())) events.push(event);
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
    const events = [{ a: '字👩‍🚀é' }, { b: 1 }, { c: 2 }, streamDone];
    expect(await read(body.map((event) => `${event}\n\n`).join(''), chunkLength)).toEqual(events);
    expect(await read(body.join('\n\n'), chunkLength)).toEqual(events);
  });

  it('reads nothing from nothing', async () => {
    expect(await read('', 1)).toEqual([]);
    expect(await read('\n\n: only a comment\n\n', 1)).toEqual([]);
  });

  it('takes a body of JSON for one event', async () => {
    expect(await read('{"a":\n\n1}', 3)).toEqual([{ a: 1 }]);
  });

  it('takes JSON of one line each, or a list, for events', async () => {
    expect(await read('{"a":1}\n{"b":2}\r\n\n{"c":3}', 2)).toEqual([{ a: 1 }, { b: 2 }, { c: 3 }]);
    expect(await read('[{"a":1},\n{"b":2}]', 2)).toEqual([{ a: 1 }, { b: 2 }]);
  });

  it.each(['\n', '\r\n', '\r'])('takes %j for the end of a line, and goes without blank lines', async (end) => {
    const body = ['data:{"a":1}', 'data:{"b":2}', '', 'data: [DONE]', 'data: {"c":3}'].join(end);
    for (const chunkLength of [1, 5, 100]) {
      expect(await read(body, chunkLength)).toEqual([{ a: 1 }, { b: 2 }, streamDone]);
    }
  });

  it('takes what is neither JSON nor like it for a sign of life', async () => {
    expect(await read('data:\n\ndata: : keepalive\n\ndata: "ping"\n\nretry: 5\n\ndata: {"a":1}\n\n', 3)).toEqual([
      { a: 1 },
    ]);
  });

  it('tells an event that is named an error, also without a key of that name', async () => {
    expect(await read('event: error\ndata: {"code":429}\n\ndata: {"a":1}\n\n', 9)).toEqual([
      { error: { code: 429 } },
      { a: 1 },
    ]);
  });

  it('refuses JSON that cannot be read, which may have been a part of the text, and pages', async () => {
    await expect(read('data: {"a":1}\n\ndata: {"a":\n\ndata: {"b":1}\n\n', 5)).rejects.toBeInstanceOf(UnreadableBody);
    await expect(read('<!doctype html><p>Sign in</p>', 5)).rejects.toMatchObject({ isPage: true });
    await expect(read('please log in', 5)).rejects.toMatchObject({ isCut: false });
  });

  it('reads a long event in linear time, however many chunks it takes', async () => {
    const text = 'x'.repeat(2 ** 20);
    const startedAt = performance.now();
    expect(await read(`data: ${JSON.stringify({ text })}\n\n`, 64)).toEqual([{ text }]);
    // A search from the start for each of 16,384 chunks would look at 8 GB.
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});
