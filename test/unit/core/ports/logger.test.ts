import { describe, expect, it } from 'vitest';
import { toLogger } from '#src/core/ports/logger.js';

const noop = () => {};

describe('toLogger', () => {
  it('takes console, and no logger at all', () => {
    expect(toLogger(console)).toBe(console);
    expect(toLogger(undefined)).toBeUndefined();
  });

  it('calls a winston logger with the message first', () => {
    const calls: unknown[] = [];
    // As winston 3.19 has it: `log(level, message, meta)`, methods of the same order, and its transports.
    const method = (...args: unknown[]) => void calls.push(args);
    const winston = { log: noop, transports: [], debug: method, info: method, warn: method, error: method };
    toLogger(winston)!.warn({ integrationId: 4 }, 'left out');
    expect(calls).toEqual([['left out', { integrationId: 4 }]]);
  });

  it.each([
    ['a string', 'console', 'a string of 7 characters'],
    ['an object without a method', { info: noop, warn: noop, error: noop }, 'without the method `debug`'],
  ])('refuses %s', (_, value, came) => {
    expect(() => toLogger(value as never)).toThrow(came);
  });
});
