import { fieldsOf, type GeneratedToolCall, isObject, type WireToolCall } from './response.js';

interface OpenCall {
  id: string;
  name: string;
  /** As they came; an object is whole. */
  readonly pieces: string[];
  whole: object | undefined;
  fields: Record<string, unknown>;
}

/**
 * Puts the tool calls of a stream together. Each comes in pieces: its id and name with the first, then its arguments
 * bit by bit.
 */
export class ToolCallReader {
  readonly #calls: OpenCall[] = [];
  readonly #callByIndex = new Map<number, OpenCall>();

  /** The calls so far, in the order in which they began. */
  get calls(): readonly GeneratedToolCall[] {
    return this.#calls.map(({ id, name, pieces, whole, fields }) => ({
      id,
      name,
      arguments: whole ?? argumentsOf(pieces),
      fields,
    }));
  }

  /** A message that comes whole, after its pieces or instead of them. */
  replace(calls: readonly WireToolCall[]): void {
    this.#calls.length = 0;
    this.#callByIndex.clear();
    for (const [index, call] of calls.entries()) this.read({ index, ...call });
  }

  read(piece: WireToolCall): void {
    const call = this.#callOf(piece);
    const { id, function: called } = piece;
    const { name, arguments: args } = called ?? {};
    if (typeof id === 'string' && id !== '' && call.id === '') call.id = id;
    if (typeof name === 'string') call.name = joinName(call.name, name);
    if (isObject(args)) call.whole = args;
    else if (typeof args === 'string' && args !== '') call.pieces.push(args);
    call.fields = { ...call.fields, ...fieldsOf(piece) };
  }

  #callOf(piece: WireToolCall): OpenCall {
    const { index, id } = piece;
    const byId = typeof id === 'string' && id !== '' ? this.#calls.find((call) => call.id === id) : undefined;
    const known = byId ?? (typeof index === 'number' ? this.#callByIndex.get(index) : this.#calls.at(-1));
    if (known !== undefined && (byId !== undefined || !startsAnother(known, piece))) return known;
    const call: OpenCall = { id: '', name: '', pieces: [], whole: undefined, fields: {} };
    this.#calls.push(call);
    if (typeof index === 'number') this.#callByIndex.set(index, call);
    return call;
  }
}

/**
 * Whether a piece under the index of a known call begins another one: some servers give every call the index 0, or
 * none, or no id; others give every piece of one call an id of its own. Only a piece with a name can begin a call.
 */
function startsAnother(known: OpenCall, { id, function: called }: WireToolCall): boolean {
  const { name, arguments: args } = called ?? {};
  if (typeof name !== 'string' || name === '') return false;
  if (typeof id === 'string' && id !== '' && known.id !== '') return id !== known.id;
  if (known.whole !== undefined) return true;
  const soFar = known.pieces.join('');
  return typeof args === 'string' && args !== '' && args !== soFar && isJson(soFar);
}

/**
 * Mostly all pieces together. Some servers send what was sent before again with each piece, or all of it at the end.
 */
function argumentsOf(pieces: readonly string[]): string {
  const joined = pieces.join('');
  const last = pieces.at(-1) ?? '';
  return pieces.length > 1 && !isJson(joined) && isJson(last) ? last : joined;
}

function isJson(text: string): boolean {
  try {
    return isObject(JSON.parse(text));
  } catch {
    return false;
  }
}

/** Most servers send a name once, some with every piece, and some in pieces. */
function joinName(known: string, piece: string): string {
  return piece.startsWith(known) ? piece : known + piece;
}
