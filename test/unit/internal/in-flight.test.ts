import { describe, expect, it } from 'vitest';
import { trackInFlight } from '#src/internal/in-flight.js';

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

  it('counts an iteration from its first step to its end, however it ends', async () => {
    async function* count() {
      yield 1;
      yield 2;
    }
    async function* fail() {
      yield 1;
      throw new Error('no');
    }
    const { tracked, whenIdle } = trackInFlight({ count, fail });
    const begun = tracked.count();
    await whenIdle();
    await begun.next();
    let isIdle = false;
    const idle = whenIdle().then(() => {
      isIdle = true;
    });
    for await (const _ of tracked.count());
    const failing = tracked.fail();
    await failing.next();
    await expect(failing.next()).rejects.toThrow('no');
    await new Promise(setImmediate);
    expect(isIdle).toBe(false);
    await begun.return();
    await idle;
    await expect(tracked.count().throw(new Error('unwanted'))).rejects.toThrow('unwanted');
    await whenIdle();
  });

  it('hands a return on while a step is under way', async () => {
    const { tracked, whenIdle } = trackInFlight({ stream: () => new Stalled() });
    const stream = tracked.stream()[Symbol.asyncIterator]();
    const pending = stream.next();
    expect(await stream.return?.()).toEqual({ done: true, value: undefined });
    expect(await pending).toEqual({ done: true, value: undefined });
    await whenIdle();
  });
});

/** Never gives a value, but can be left. */
class Stalled implements AsyncIterableIterator<number, undefined> {
  #leave: (() => void) | undefined;

  next() {
    return new Promise<IteratorResult<number, undefined>>((resolve) => {
      this.#leave = () => resolve({ done: true, value: undefined });
    });
  }

  async return() {
    this.#leave?.();
    return { done: true as const, value: undefined };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}
