import { type DeadlineOptions, withDeadline } from '../../../internal/with-deadline.js';
import { failureInBody, parsedFrom } from '../calls/to-provider-error.js';

/**
 * The events of a streamed answer, parsed. A whole body of JSON, as from a server that does not stream, is one event.
 *
 * @param silence - Limits each wait for more of the body: what is no event, such as a keep-alive comment, is a sign of life too.
 * @throws What the server tells of in place of an event, as the client would have thrown it; SyntaxError.
 */
export async function* readEvents(response: Response, silence: DeadlineOptions): AsyncGenerator<unknown> {
  if (response.headers.get('content-type')?.includes('json')) {
    yield parseBody(await response.text(), response.headers);
  } else if (response.body !== null) {
    for await (const data of eventData(chunksOf(response.body, silence))) {
      if (data !== '[DONE]') yield parseBody(data, response.headers);
    }
  }
}

/** JSON, whatever the content type says. @throws The failure that it tells of, as the client would have thrown it; SyntaxError. */
export function parseBody(text: string, headers: Headers): unknown {
  const body: unknown = parsedFrom(headers, () => JSON.parse(text));
  const failure = failureInBody(body, headers);
  if (failure !== undefined) throw failure;
  return body;
}

async function* chunksOf(body: AsyncIterable<Uint8Array>, silence: DeadlineOptions): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  for (;;) {
    const chunk = await withDeadline(() => chunks.next(), silence);
    if (chunk.done) return;
    yield chunk.value;
  }
}

/** The `data` of server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html; also of a last one that is not closed. */
async function* eventData(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let data: string[] = [];
  for await (const line of linesOf(chunks)) {
    if (line.startsWith('data:')) data.push(line.slice('data:'.length));
    if (line !== '' || data.length === 0) continue;
    yield data.join('\n').trim();
    data = [];
  }
  if (data.length > 0) yield data.join('\n').trim();
}

/** Looks for the end of a line in new chunks only, however long the line is. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let open = '';
  for await (const chunk of chunks) {
    const lines = decoder.decode(chunk, { stream: true }).split('\n');
    lines[0] = open + lines[0];
    open = lines.pop() ?? '';
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  if (open !== '') yield open;
}
