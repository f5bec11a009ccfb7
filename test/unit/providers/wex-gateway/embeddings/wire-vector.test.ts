import { expect, it } from 'vitest';
import { vectorFromBase64 } from '#src/providers/wex-gateway/embeddings/wire-vector.js';

// Of many values with a + or a / among their characters.
const vector = Float32Array.from({ length: 97 }, (_, index) => Math.sin(index));
const base64 = Buffer.from(vector.buffer).toString('base64');
const read = (text: string) => vectorFromBase64(Buffer.from(text));

it.each([
  ['with padding', base64],
  ['without', base64.replace(/=+$/, '')],
  ['in the alphabet for addresses', base64.replaceAll('+', '-').replaceAll('/', '_')],
])('reads base64 %s', (_, text) => {
  expect(base64).toMatch(/[+/].*=$/);
  expect(read(text)).toEqual(vector);
});

it('reads vectors of any length', () => {
  const long = Float32Array.from({ length: 50_000 }, (_, index) => index);
  expect(read(Buffer.from(long.buffer).toString('base64'))).toEqual(long);
});

it.each([
  ['a space', ' '],
  ['a wide character', 'é'],
  ['a character whose lower half is a digit', 'š'],
  ['padding in the middle', '='],
])('refuses base64 with %s', (_, character) => {
  const bytes = Buffer.from(character);
  expect(
    vectorFromBase64(
      Buffer.concat([Buffer.from(base64.slice(0, 40)), bytes, Buffer.from(base64.slice(40 + bytes.length))]),
    ),
  ).toBe('not valid base64');
});

it.each([
  ['', 'empty'],
  ['==', 'empty'],
  ['A', 'base64 of a length that no float32 vector has'],
  ['AAAA', 'base64 of a length that no float32 vector has'],
  ['AAAAAA==', 'all zeros'],
  ['AAAAAB==', 'all zeros'],
  ['AAAAAAAAAAB=', 'all zeros'],
  ['AACAfw==', 'not finite'],
])('says what is wrong with %j', (text, fault) => {
  expect(read(text)).toBe(fault);
});
