// `node --import ./record-loads.mjs`: prints every package that is loaded, by `import` or `require`, when the process ends.
import { writeSync } from 'node:fs';
import { register } from 'node:module';
import { MessageChannel } from 'node:worker_threads';

const hooks = `
let port;
export const initialize = (data) => { port = data.port; };
export async function load(url, context, next) {
  port.postMessage(url);
  return next(url, context);
}`;
const { port1, port2 } = new MessageChannel();
const urls = [];
port1.on('message', (url) => urls.push(url));
port1.unref();
register(`data:text/javascript,${encodeURIComponent(hooks)}`, { data: { port: port2 }, transferList: [port2] });
globalThis.printLoads = async () => {
  await new Promise((resolve) => setImmediate(resolve));
  const required = typeof require === 'undefined' ? [] : Object.keys(require.cache);
  const packages = [...urls, ...required]
    .map((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(url)?.[1])
    .filter((name) => name !== undefined);
  writeSync(1, JSON.stringify([...new Set(packages)].toSorted()));
};
