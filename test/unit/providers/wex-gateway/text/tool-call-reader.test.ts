import { describe, expect, it } from 'vitest';
import { ToolCallReader } from '#src/providers/wex-gateway/text/tool-call-reader.js';

const read = (...pieces: Parameters<ToolCallReader['read']>[0][]) => {
  const reader = new ToolCallReader();
  for (const piece of pieces) reader.read(piece);
  return reader.calls.map(({ id, name, arguments: args }) => [id, name, args]);
};
const named = (name: string, args?: unknown) => ({ name, ...(args === undefined ? {} : { arguments: args }) });
const more = (args: string) => ({ arguments: args });

describe('ToolCallReader', () => {
  it('puts calls together by their index, whatever the first one is', () => {
    const calls = read(
      { index: 1, id: 'a', function: named('f', '') },
      { index: 7, id: 'b', function: named('g', '') },
      { index: 1, function: more('{"x"') },
      { index: 7, function: more('{}') },
      { index: 1, id: '', function: more(':1}') },
    );
    expect(calls).toEqual([
      ['a', 'f', '{"x":1}'],
      ['b', 'g', '{}'],
    ]);
  });

  it('begins another call with another id, also at the same index, as Ollama does', () => {
    const calls = read(
      { index: 0, id: 'a', function: named('f', '{}') },
      { index: 0, id: 'b', function: named('f', '{"x"') },
      { index: 0, function: more(':2}') },
    );
    expect(calls).toEqual([
      ['a', 'f', '{}'],
      ['b', 'f', '{"x":2}'],
    ]);
  });

  it('goes on with the last call if a piece has neither index nor id', () => {
    const calls = read(
      { id: 'a', function: named('f', '') },
      { function: more('{}') },
      { id: 'b', function: named('g', '') },
      { id: 'b', function: more('{"x":') },
      { function: more('1}') },
    );
    expect(calls).toEqual([
      ['a', 'f', '{}'],
      ['b', 'g', '{"x":1}'],
    ]);
  });

  it('takes a name that is repeated with every piece, that grows, or that comes in pieces', () => {
    expect(read({ id: 'a', function: named('f', '{') }, { id: 'a', function: named('f', '}') })).toEqual([
      ['a', 'f', '{}'],
    ]);
    expect(read({ index: 0, function: named('get') }, { index: 0, function: named('get_it') })).toEqual([
      ['', 'get_it', ''],
    ]);
    expect(read({ index: 0, function: named('get') }, { index: 0, function: named('_it') })).toEqual([
      ['', 'get_it', ''],
    ]);
  });

  it('takes arguments that are parsed already, and bears pieces that say nothing', () => {
    expect(read({ id: 'a', function: named('f', { x: 1 }) }, { id: 'a', function: null }, {})).toEqual([
      ['a', 'f', { x: 1 }],
    ]);
  });

  it('keeps no list as long as an index says', () => {
    expect(read({ index: 2 ** 32, id: 'a', function: named('f') }, { index: -1, id: 'b' })).toHaveLength(2);
  });
});
