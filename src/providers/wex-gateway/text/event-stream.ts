import { UnreadableBody, unreadableBody } from '../calls/to-provider-error.js';

/** What a server said with `[DONE]`. */
export const streamDone = Symbol('[DONE]');

/** One line of a stream may be as long as this; longer ones are not answer to anything. */
const longestLine = 64 * 1024 * 1024;

/**
 * The events of a streamed answer, parsed, then {@link streamDone} if the server sent it; what comes after that is
 * not waited for. The content type is not looked at, since many servers set a wrong one: server-sent events, JSON of
 * one line each, and one JSON document (of a server that does not stream) are told apart by how they begin.
 *
 * @throws `UnreadableBody`
 */
export async function* readEvents(
  chunks: AsyncIterable<Uint8Array>,
  headers: Headers,
): AsyncGenerator<unknown, void, undefined> {
  const lines = linesOf(chunks);
  for await (const line of lines) {
    const first = line.trimStart();
    if (first === '') continue;
    if (first.startsWith('<')) throw new UnreadableBody(false, headers, true);
    // The lines are read on if they are, with the first one put back.
    yield* /^[{[]/.test(first) ? jsonEvents(first, lines, headers) : sentEvents(line, lines, headers);
    return;
  }
}

/** JSON of one line each, or one document over several lines. */
async function* jsonEvents(first: string, lines: AsyncIterable<string>, headers: Headers): AsyncGenerator<unknown> {
  let open = '';
  for await (const line of withFirst(first, lines)) {
    const text = open === '' ? line.trim() : `${open}\n${line}`;
    if (text === '') continue;
    // A document over several lines is parsed once, at its end.
    const value = open === '' ? tryParse(text) : undefined;
    if (value === undefined) open = text;
    else yield* Array.isArray(value) ? value : [value];
  }
  if (open === '') return;
  const value = parse(open, headers);
  yield* Array.isArray(value) ? value : [value];
}

/**
 * Server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html; also a last one that is not
 * closed.
 */
async function* sentEvents(first: string, lines: AsyncIterable<string>, headers: Headers): AsyncGenerator<unknown> {
  let data: string[] = [];
  let name = '';
  let hasFields = false;
  for await (const line of withFirst(first, lines)) {
    const [field, value] = fieldOf(line);
    hasFields ||= field !== undefined;
    if (field === 'event') name = value;
    if (field === 'data') {
      // Some servers leave out the blank line between two events.
      const previous = data.length === 1 ? eventOf(data, name) : undefined;
      if (previous !== undefined) {
        yield previous;
        if (previous === streamDone) return;
        data = [];
      }
      data.push(value);
    }
    if (line !== '') continue;
    const event = eventOf(data, name) ?? requireKeepAlive(data, headers);
    data = [];
    name = '';
    if (event === undefined) continue;
    yield event;
    if (event === streamDone) return;
  }
  const last = eventOf(data, name);
  if (last !== undefined) yield last;
  else if (!hasFields) throw new UnreadableBody(false, headers);
}

function fieldOf(line: string): [string | undefined, string] {
  const colon = line.indexOf(':');
  if (colon === 0) return ['comment', ''];
  const field = colon === -1 ? line : line.slice(0, colon);
  if (!['data', 'event', 'id', 'retry'].includes(field)) return [undefined, ''];
  return [field, colon === -1 ? '' : line.slice(colon + 1).trim()];
}

/** Undefined if the data are not event: nothing, a sign of life, or not all of it yet. */
function eventOf(data: readonly string[], name: string): unknown {
  const text = data.join('\n').trim();
  if (text === '') return undefined;
  if (/^\[done\]$/i.test(text)) return streamDone;
  const value = tryParse(text);
  if (typeof value !== 'object' || value === null) return undefined;
  return name === 'error' && !('error' in value) ? { error: value } : value;
}

/** What is not a JSON among events is a sign of life; but JSON that cannot be read may be a part of the text. */
function requireKeepAlive(data: readonly string[], headers: Headers): undefined {
  const text = data.join('\n').trim();
  if (/^[{[]/.test(text)) parse(text, headers);
}

function parse(text: string, headers: Headers): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadableBody(error, headers, text.slice(0, 100));
  }
}

function tryParse(text: string): unknown {
  if (!/^[{["]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function* withFirst(first: string, rest: AsyncIterable<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
}

/** Lines that end in LF, CR LF or CR. Looks for the end of a line in new chunks only, however long the line is. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let open: string[] = [];
  let openLength = 0;
  let endsInCr = false;
  for await (const chunk of chunks) {
    let text = decoder.decode(chunk, { stream: true });
    // The LF of a CR LF that was cut in two.
    if (endsInCr && text.startsWith('\n')) text = text.slice(1);
    if (text === '') continue;
    endsInCr = text.endsWith('\r');
    const lines = text.split(/\r\n|\n|\r/);
    const last = lines.pop() as string;
    for (const line of lines) {
      yield openLength === 0 ? line : open.join('') + line;
      open = [];
      openLength = 0;
    }
    if (last !== '') open.push(last);
    openLength += last.length;
    if (openLength > longestLine) throw new RangeError('A line of a stream is too long.');
  }
  if (openLength > 0) yield open.join('');
}
