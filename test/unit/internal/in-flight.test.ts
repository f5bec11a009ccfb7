import { describe, expect, it } from 'vitest';
import { trackInFlight } from '../../../src/internal/in-flight.js';

class Example {
  readonly #secret = 42;
  finish: (() => void) | undefined;
  get secret() {
    return this.#secret;
  }
  now() {
    return this.#secret;
  }
  later() {
    return new Promise<number>((resolve) => {
      this.finish = () => resolve(this.#secret);
    });
  }
}

describe('trackInFlight', () => {
  it('looks like the target, private fields and all', async () => {
    const example = new Example();
    const { tracked } = trackInFlight(example);
    expect(tracked).toBeInstanceOf(Example);
    expect(tracked.constructor).toBe(Example);
    expect([tracked.secret, tracked.now()]).toEqual([42, 42]);
    expect(tracked.later).toBe(tracked.later);
  });

  it('is idle only when every call has ended, also a failed one', async () => {
    const example = new Example();
    const { tracked, whenIdle } = trackInFlight(example);
    await whenIdle();
    const first = tracked.later();
    const finishFirst = example.finish!;
    const second = tracked.later();
    let isIdle = false;
    const idle = whenIdle().then(() => {
      isIdle = true;
    });
    finishFirst();
    await first;
    await new Promise(setImmediate);
    expect(isIdle).toBe(false);
    example.finish!();
    await second;
    await idle;
    const failing = trackInFlight({ fail: () => Promise.reject(new Error('no')) });
    await expect(failing.tracked.fail()).rejects.toThrow('no');
    await failing.whenIdle();
  });
});
