import { expect, it } from 'vitest';
import { rejectOnAbort } from '#src/internal/reject-on-abort.js';

const reason = new Error('the caller went away');

it('is the promise if nobody aborts', async () => {
  expect(await rejectOnAbort(Promise.resolve(1), undefined)).toBe(1);
  expect(await rejectOnAbort(Promise.resolve(1), new AbortController().signal)).toBe(1);
  await expect(rejectOnAbort(Promise.reject(reason), new AbortController().signal)).rejects.toBe(reason);
});

it('rejects with the reason as soon as the signal is aborted, and ignores what the promise does later', async () => {
  const controller = new AbortController();
  let fail = (_: Error) => {};
  const promise = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const raced = rejectOnAbort(promise, controller.signal);
  controller.abort(reason);
  await expect(raced).rejects.toBe(reason);
  fail(new Error('too late')); // An unhandled rejection would fail the run.
  await new Promise((resolve) => setImmediate(resolve));
});

it('rejects for a signal that is aborted already', async () => {
  await expect(rejectOnAbort(new Promise(() => {}), AbortSignal.abort(reason))).rejects.toBe(reason);
});

it('leaves no listener on a signal that lives longer than the call', async () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const counted = new Proxy(signal, {
    get(target, key) {
      if (key === 'addEventListener') listeners++;
      if (key === 'removeEventListener') listeners--;
      const value = Reflect.get(target, key, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  await rejectOnAbort(Promise.resolve(1), counted);
  await rejectOnAbort(Promise.reject(reason), counted).catch(() => {});
  expect(listeners).toBe(0);
});
