import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export interface HubSettings {
  /** @default 'https://huggingface.co' */
  readonly endpoint: string;
  /** Sent to the endpoint as a bearer token. */
  readonly token: string | undefined;
}

/** Downloads one file of a model. Returns its SHA-256, or undefined where the model has no such file. */
export async function downloadHubFile(
  model: string,
  revision: string,
  name: string,
  folder: string,
  { endpoint, token }: HubSettings,
): Promise<string | undefined> {
  const url = `${endpoint}/${model}/resolve/${encodeURIComponent(revision)}/${name}`;
  const response = await fetch(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
  if (response.status === 404) return undefined;
  if (!response.ok || response.body === null) throw new Error(`${url} answered with HTTP status ${response.status}`);
  const target = join(folder, name);
  await mkdir(dirname(target), { recursive: true });
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await pipeline(Readable.fromWeb(response.body as never), hashing, createWriteStream(target, { flags: 'wx' }));
  return hash.digest('hex');
}
