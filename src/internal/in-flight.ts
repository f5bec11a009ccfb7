export interface InFlight<Target> {
  /**
   * The target itself to every caller: `instanceof` and properties are its own. Its methods that return a promise or an
   * async iterable are counted.
   */
  readonly tracked: Target;
  /** Resolves once no counted call is under way. */
  whenIdle(): Promise<void>;
}

/** Counts the calls under way on an object, so that it can be closed once nobody uses it. */
export function trackInFlight<Target extends object>(target: Target): InFlight<Target> {
  let calls = 0;
  let waiting: (() => void)[] = [];
  const start = () => {
    calls++;
  };
  const end = () => {
    calls--;
    if (calls > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  const count = (method: (...values: unknown[]) => unknown) =>
    function counted(...values: unknown[]) {
      // Bound to the target: a class with private fields rejects a proxy as `this`.
      const result = method.apply(target, values);
      if (isAsyncIterable(result)) return watchIteration(result, start, end);
      if (result instanceof Promise) {
        start();
        result.then(end, end);
      }
      return result;
    };
  const methods = new Map<PropertyKey, unknown>();
  const tracked = new Proxy(target, {
    get(_, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function' || key === 'constructor') return value;
      if (!methods.has(key)) methods.set(key, count(value as (...values: unknown[]) => unknown));
      return methods.get(key);
    },
  });
  return {
    tracked,
    whenIdle: () => (calls === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/**
 * Tells when an iteration starts and when it is over. No generator: one would hold back a `return` until the next value
 * comes.
 */
function watchIteration(iterable: AsyncIterable<unknown>, onStart: () => void, onEnd: () => void): AsyncGenerator {
  const iterator: AsyncIterator<unknown> = iterable[Symbol.asyncIterator]();
  let isUnderWay = false;
  const end = () => {
    if (isUnderWay) onEnd();
    isUnderWay = false;
  };
  const follow = async (step: Promise<IteratorResult<unknown>>) => {
    try {
      const result = await step;
      if (result.done) end();
      return result;
    } catch (error) {
      end();
      throw error;
    }
  };
  return {
    next() {
      if (!isUnderWay) onStart();
      isUnderWay = true;
      return follow(iterator.next());
    },
    return: (value) => follow(iterator.return?.(value) ?? Promise.resolve({ done: true, value })),
    throw: (error) => follow(iterator.throw?.(error) ?? Promise.reject(error)),
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      await this.return(undefined);
    },
  };
}
