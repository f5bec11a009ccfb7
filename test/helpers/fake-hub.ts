import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly host: 'hub' | 'cdn';
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

/**
 * The part of the Hugging Face Hub that a download touches, on 127.0.0.1: the description of a revision, files by
 * commit, large files by redirect to another host (the CDN) with their SHA-256 in `x-linked-etag`, ranges.
 */
export class FakeHub {
  readonly requests: SeenRequest[] = [];
  readonly files: Map<string, Buffer>;
  commit = createHash('sha1').update('first').digest('hex');
  /** Breaks the connection of a large file after so many bytes of each answer. */
  cutAfterBytes: number | undefined;
  /** Stops sending a large file after so many bytes without closing. */
  stallAfterBytes: number | undefined;
  /** The file that is sent with a wrong byte. */
  corruptFile: string | undefined;
  /** Names that the description lists beside those of the files; each is answered with `unlisted content`. */
  readonly foreignNames: string[] = [];
  /** Sent in place of the description of a revision. */
  description: string | undefined;
  /** Whether answers have an etag, as the Hub's have and those of some mirrors have not. */
  givesChecksums = true;
  /** Answers a range with the whole file, as some mirrors do. */
  ignoresRanges = false;
  /** Answers everything with this status. */
  status: number | undefined;
  onStall: (() => void) | undefined;
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor(files: Map<string, Buffer>) {
    this.files = files;
    this.#hub = createServer((request, response) => this.#answer('hub', request, response));
    this.#cdn = createServer((request, response) => this.#answer('cdn', request, response));
  }

  static async start(files: Map<string, Buffer>): Promise<FakeHub> {
    const hub = new FakeHub(files);
    for (const server of [hub.#hub, hub.#cdn]) await once(server.listen(0, '127.0.0.1'), 'listening');
    return hub;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }

  get downloads(): SeenRequest[] {
    return this.requests.filter(({ path }) => path.includes('/resolve/') || path.startsWith('/blob/'));
  }

  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#cdn]) {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    }
  }

  #answer(host: 'hub' | 'cdn', request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(request.url!);
    const { authorization, range } = request.headers;
    this.requests.push({ host, path, authorization, range });
    if (this.status !== undefined) return void response.writeHead(this.status).end();
    if (path.startsWith('/api/models/')) {
      const siblings = [...this.files.keys(), ...this.foreignNames].map((rfilename) => ({ rfilename }));
      return void response.end(this.description ?? JSON.stringify({ sha: this.commit, siblings }));
    }
    const name = path.replace(/^\/blob\//, '').replace(/^.*\/resolve\/[0-9a-f]{40}\//, '');
    const content = this.files.get(name);
    if (content === undefined && this.foreignNames.length > 0) return void response.end('unlisted content');
    if (content === undefined) return void response.writeHead(404).end();
    const isLarge = /\.(onnx|onnx_data|safetensors)$/.test(name);
    if (host === 'hub' && isLarge) {
      const { port } = this.#cdn.address() as AddressInfo;
      const sha256 = createHash('sha256').update(content).digest('hex');
      const headers = { location: `http://127.0.0.1:${port}/blob/${name}`, 'x-linked-etag': `"${sha256}"` };
      return void response.writeHead(302, headers).end();
    }
    const etag = createHash('sha1').update(`blob ${content.byteLength}\0`).update(content).digest('hex');
    if (!isLarge && this.givesChecksums) response.setHeader('etag', `"${etag}"`);
    const sent = Buffer.from(content);
    if (name === this.corruptFile) sent[sent.byteLength >> 1]! ^= 1;
    const first = this.ignoresRanges ? 0 : Number(range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
    this.#send(response, sent, isLarge, first);
  }

  #send(response: ServerResponse, content: Buffer, isLarge: boolean, first: number): void {
    if (first >= content.byteLength && first > 0) return void response.writeHead(416).end();
    const body = content.subarray(first);
    response.writeHead(first > 0 ? 206 : 200, { 'content-length': body.byteLength });
    const { cutAfterBytes, stallAfterBytes } = this;
    if (isLarge && cutAfterBytes !== undefined && cutAfterBytes < body.byteLength) {
      response.write(body.subarray(0, cutAfterBytes), () => setImmediate(() => response.destroy()));
    } else if (isLarge && stallAfterBytes !== undefined && stallAfterBytes < body.byteLength) {
      response.write(body.subarray(0, stallAfterBytes), () => this.onStall?.());
    } else response.end(body);
  }
}
