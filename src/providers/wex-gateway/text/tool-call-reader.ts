import { isObject, type WireToolCall } from './response.js';

interface OpenCall {
  id: string;
  name: string;
  arguments: string | object;
}

/** Puts the tool calls of a stream together. Each comes in pieces: its id and name with the first, then its arguments bit by bit. */
export class ToolCallReader {
  readonly #calls: OpenCall[] = [];
  readonly #callByIndex = new Map<number, OpenCall>();

  /** The calls so far, in the order in which they began. */
  get calls(): readonly OpenCall[] {
    return this.#calls;
  }

  read({ index, id, function: called }: WireToolCall): void {
    const call = this.#callOf(index, id);
    const { name, arguments: args } = called ?? {};
    if (typeof id === 'string' && id !== '') call.id = id;
    if (typeof name === 'string') call.name = joinName(call.name, name);
    if (isObject(args)) call.arguments = args;
    else if (typeof args === 'string' && typeof call.arguments === 'string') call.arguments += args;
  }

  /** The one at the index, or else the last one; but some servers give every call the index 0, or none, and only the id tells them apart. */
  #callOf(index: unknown, id: unknown): OpenCall {
    const known = typeof index === 'number' ? this.#callByIndex.get(index) : this.#calls.at(-1);
    const isOther = typeof id === 'string' && id !== '' && known?.id !== '' && known?.id !== id;
    if (known !== undefined && !isOther) return known;
    const call: OpenCall = { id: '', name: '', arguments: '' };
    this.#calls.push(call);
    if (typeof index === 'number') this.#callByIndex.set(index, call);
    return call;
  }
}

/** Most servers send a name once, some with every piece, and some in pieces. */
function joinName(known: string, piece: string): string {
  return piece.startsWith(known) ? piece : known + piece;
}
