import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { onAbort } from '#src/internal/on-abort.js';

const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe('onAbort', () => {
  it('has one listener on a signal for any number of waiters, and none when the last has left', () => {
    const { signal } = new AbortController();
    const ends = Array.from({ length: 50 }, () => onAbort(signal, () => {}));
    expect(listeners(signal)).toBe(1);
    for (const end of ends) end();
    for (const end of ends) end();
    expect(listeners(signal)).toBe(0);
    const end = onAbort(signal, () => {});
    expect(listeners(signal)).toBe(1);
    end();
    expect(listeners(signal)).toBe(0);
  });

  it('calls every waiter that is left with the reason, once, and a late one at once', () => {
    const controller = new AbortController();
    const reasons: unknown[] = [];
    const leave = onAbort(controller.signal, () => reasons.push('left'));
    onAbort(controller.signal, (reason) => reasons.push(reason));
    onAbort(controller.signal, (reason) => reasons.push(reason));
    leave();
    controller.abort('enough');
    onAbort(controller.signal, (reason) => reasons.push(`late ${reason}`));
    expect(reasons).toEqual(['enough', 'enough', 'late enough']);
    expect(listeners(controller.signal)).toBe(0);
  });
});
