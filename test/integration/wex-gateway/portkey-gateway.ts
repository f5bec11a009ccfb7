import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';

/**
 * Runs before Portkey 1.15.2 in its process. It listens on all interfaces and has no option for loopback. And with
 * the version of @hono/node-server that its range admits today, it fails on the immutable headers of every response
 * that it passes on unchanged: `fetch` gets it mutable ones.
 */
const preload = `
  import net from 'node:net';
  const { listen } = net.Server.prototype;
  net.Server.prototype.listen = function (port, ...rest) {
    const callbacks = rest.filter((each) => typeof each === 'function');
    return listen.call(this, port, '127.0.0.1', ...callbacks);
  };
  const { fetch, Response } = globalThis;
  globalThis.fetch = async (...request) => {
    const { body, status, statusText, headers } = await fetch(...request);
    return new Response(body, { status, statusText, headers: new Headers(headers) });
  };
`;

/** Portkey's gateway as its own process on a free port. */
export class PortkeyGateway {
  readonly baseUrl: string;
  readonly #process: ChildProcess;

  private constructor(baseUrl: string, process: ChildProcess) {
    this.baseUrl = baseUrl;
    this.#process = process;
  }

  static async start(): Promise<PortkeyGateway> {
    const script = createRequire(import.meta.url).resolve('@portkey-ai/gateway/build/start-server.js');
    const port = await freePort();
    const child = spawn(
      process.execPath,
      ['--import', `data:text/javascript,${encodeURIComponent(preload)}`, script, `--port=${port}`, '--headless'],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let output = '';
    await new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer) => {
        output += chunk;
        if (output.includes('Ready for connections')) resolve();
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('exit', (code) => reject(new Error(`Portkey's gateway ended with ${code}: ${output}`)));
    });
    return new PortkeyGateway(`http://127.0.0.1:${port}/v1`, child);
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill();
    await ended;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
