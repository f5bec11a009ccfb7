import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { deflateSync, gzipSync } from 'node:zlib';
import { isAiProviderError } from '#src/errors.js';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { fakeServerVector, serverCases } from '#src/testing/index.js';

/** mulberry32: the same numbers for the same seed, so that a finding can be run again. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Dice {
  chance(probability: number): boolean;
  below(limit: number): number;
  pick<Value>(values: readonly Value[]): Value;
}

function diceOf(seed: number): Dice {
  const random = randomOf(seed);
  return {
    chance: (probability) => random() < probability,
    below: (limit) => Math.floor(random() * limit),
    pick: (values) => values[Math.floor(random() * values.length)]!,
  };
}

const operations = ['text', 'stream', 'embeddings'] as const;
type Operation = (typeof operations)[number];

/** All bodies and events that the corpus of servers has, and what a faultless server sends. */
const corpus = Object.values(serverCases).flatMap((cases) => cases.flatMap(({ replies }) => replies));
const bodies: unknown[] = corpus.flatMap(({ body }) => (body === undefined ? [] : [body]));
const streams: (readonly unknown[])[] = corpus.flatMap(({ sse }) => (sse === undefined ? [] : [sse]));
const hostile: unknown[] = [
  null,
  true,
  -1,
  1e308,
  '',
  'NaN',
  [],
  {},
  [[]],
  { error: {} },
  '\u0000\ud800',
  'x'.repeat(10_000),
  Number.MAX_SAFE_INTEGER,
  { toString: 'x', __proto__: null },
];
const statuses = [
  ...Array<number>(40).fill(200),
  201,
  204,
  206,
  302,
  400,
  401,
  403,
  404,
  408,
  413,
  422,
  424,
  429,
  498,
  500,
  502,
  503,
  529,
  599,
];
const contentTypes = ['application/json', 'text/event-stream', 'text/html', 'application/x-ndjson', '', 'x'];
const oddHeaders: readonly (readonly [string, string])[] = [
  ['retry-after', '0.001'],
  ['retry-after', '-5'],
  ['retry-after', 'Wed, 21 Oct 2099 07:28:00 GMT'],
  ['retry-after', 'soon'],
  ['retry-after-ms', '1e9'],
  ['llm_provider-retry-after', '99999999999'],
  ['x-ratelimit-remaining-requests', '0'],
  ['x-ratelimit-reset-requests', '1ms'],
  ['x-litellm-response-cost', 'NaN'],
  ['x-litellm-attempted-fallbacks', 'many'],
  ['x-request-id', 'a b\tc'],
  ['content-encoding', 'gzip'],
  ['content-encoding', 'deflate, gzip'],
  ['content-encoding', 'what, br'],
];

function embeddingsBody(inputs: readonly string[], isBase64: boolean): object {
  const data = inputs.map((text, index) => {
    const vector = fakeServerVector(text);
    const embedding = isBase64 ? Buffer.from(new Float32Array(vector).buffer).toString('base64') : vector;
    return { object: 'embedding', index, embedding };
  });
  return { object: 'list', data, model: 'm', usage: { prompt_tokens: 3, total_tokens: 3 } };
}

function chatBody(): object {
  const message = { role: 'assistant', content: 'Hello world, this is an answer.' };
  const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 };
  return { object: 'chat.completion', model: 'm', choices: [{ index: 0, message, finish_reason: 'stop' }], usage };
}

/** Puts something hostile in the place of a value, somewhere in it. */
function spoilValue(value: unknown, dice: Dice): unknown {
  if (typeof value !== 'object' || value === null || dice.chance(0.15)) return dice.pick(hostile);
  const entries = Object.entries(value);
  if (entries.length === 0) return dice.pick(hostile);
  const [chosen] = dice.pick(entries);
  if (Array.isArray(value)) return value.map((each, at) => (String(at) === chosen ? spoilValue(each, dice) : each));
  const spoilt: Record<string, unknown> = { ...value };
  if (dice.chance(0.2)) delete spoilt[chosen];
  else spoilt[chosen] = spoilValue(spoilt[chosen], dice);
  return spoilt;
}

/** Changes bytes: cuts, doubles, drops, flips. */
function spoilBytes(bytes: Buffer, dice: Dice): Buffer {
  if (bytes.length === 0) return bytes;
  const from = dice.below(bytes.length);
  const to = from + dice.below(Math.min(200, bytes.length - from) + 1);
  switch (dice.below(4)) {
    case 0:
      return bytes.subarray(0, from);
    case 1:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    default: {
      const flipped = Buffer.from(bytes);
      flipped[from] = dice.below(256);
      return flipped;
    }
  }
}

interface Mutant {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
  /** Where the bytes are cut into pieces. */
  readonly pieces: number;
  readonly end: 'end' | 'reset';
}

/** The answer of a seed to a request. */
function mutantOf(seed: number, body: Readonly<Record<string, unknown>>): Mutant {
  const dice = diceOf(seed);
  const isEmbeddings = Array.isArray(body.input);
  const isStream = body.stream === true;
  let bytes: Buffer;
  if (isStream && dice.chance(0.8)) {
    const events = dice.pick(streams).filter((event) => typeof event !== 'number');
    const spoilt = dice.chance(0.5)
      ? events.map((event) => (dice.chance(0.2) ? spoilValue(event, dice) : event))
      : events;
    const lines = spoilt.map((event) => (typeof event === 'string' ? event : `data: ${JSON.stringify(event)}`));
    bytes = Buffer.from(lines.join(dice.pick(['\n\n', '\n', '\r\n\r\n', '\r\r', ''])) + dice.pick(['\n\n', '', '\n']));
  } else {
    const own = isEmbeddings ? embeddingsBody(body.input as string[], dice.chance(0.5)) : chatBody();
    const chosen = dice.chance(0.6) ? own : dice.pick(bodies);
    bytes = Buffer.from(JSON.stringify(dice.chance(0.7) ? spoilValue(chosen, dice) : chosen) ?? '');
  }
  for (let times = dice.chance(0.5) ? 1 + dice.below(2) : 0; times > 0; times--) bytes = spoilBytes(bytes, dice);
  const headers: Record<string, string> = { 'content-type': dice.pick(contentTypes) };
  if (dice.chance(0.1)) {
    bytes = dice.chance(0.5) ? gzipSync(bytes) : deflateSync(bytes);
    headers['content-encoding'] = dice.pick(['gzip', 'deflate', 'x-gzip', 'GZIP', 'br']);
  }
  for (let times = dice.chance(0.3) ? 1 + dice.below(2) : 0; times > 0; times--) {
    const [name, value] = dice.pick(oddHeaders);
    headers[name] = value;
  }
  return {
    status: dice.pick(statuses),
    headers,
    bytes,
    pieces: 1 + dice.below(4),
    end: dice.chance(0.05) ? 'reset' : 'end',
  };
}

async function send({ status, headers, bytes, pieces, end }: Mutant, response: ServerResponse): Promise<void> {
  try {
    response.writeHead(status, headers);
  } catch {
    response.writeHead(200);
  }
  const length = Math.ceil(bytes.length / pieces) || 1;
  for (let at = 0; at < bytes.length; at += length) {
    response.write(bytes.subarray(at, at + length));
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (end === 'reset') response.destroy();
  else response.end();
}

export interface FuzzReport {
  readonly runs: number;
  readonly answers: number;
  readonly errorCodes: Readonly<Record<string, number>>;
  /** What is neither a result in its form nor a typed error in time, with the seed that shows it again. */
  readonly findings: readonly string[];
  readonly slowestMs: number;
  readonly heapGrowthMb: number;
}

const deadlineMs = 2000;
/** What the machine may take on top of the deadline. */
const slackMs = 3000;

/** Asks for texts, streams and vectors of a server whose every answer is a mutant. */
export async function fuzzGateway(runs: number, firstSeed = 1, concurrency = 16): Promise<FuzzReport> {
  const server = createServer(async (request, response) => {
    response.on('error', () => {});
    const raw = await textOf(request).catch(() => '{}');
    const body = JSON.parse(raw === '' ? '{}' : raw) as Record<string, unknown>;
    const seed = Number(/#(\d+)#/.exec(raw)?.[1] ?? 0);
    await send(mutantOf(seed, body), response).catch(() => response.destroy());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const provider = new WexGatewayProvider({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    apiKey: 'key',
    maxRetries: 1,
    retryDelayMs: 1,
    timeoutMs: 1000,
    deadlineMs,
  });
  const findings: string[] = [];
  const errorCodes: Record<string, number> = {};
  let answers = 0;
  let slowestMs = 0;
  let next = 0;
  const heapBefore = process.memoryUsage().heapUsed;
  const onStray = (error: unknown) => findings.push(`unhandled rejection: ${String(error)}`);
  process.on('unhandledRejection', onStray);
  const worker = async () => {
    while (next < runs) {
      const seed = firstSeed + next++;
      const operation = operations[seed % operations.length]!;
      const startedAt = performance.now();
      try {
        const problem = await ask(provider, operation, seed);
        if (problem !== undefined) findings.push(`seed ${seed} (${operation}): ${problem}`);
        answers++;
      } catch (error) {
        if (isAiProviderError(error)) errorCodes[error.code] = (errorCodes[error.code] ?? 0) + 1;
        else findings.push(`seed ${seed} (${operation}): ${error instanceof Error ? error.stack : String(error)}`);
      }
      const ms = performance.now() - startedAt;
      slowestMs = Math.max(slowestMs, ms);
      if (ms > deadlineMs + slackMs) findings.push(`seed ${seed} (${operation}): took ${Math.round(ms)} ms`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  await provider.close();
  server.closeAllConnections();
  await new Promise<void>((closed) => server.close(() => closed()));
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', onStray);
  const heapGrowthMb = (process.memoryUsage().heapUsed - heapBefore) / 2 ** 20;
  return { runs, answers, errorCodes, findings, slowestMs, heapGrowthMb };
}

/** @returns in one phrase, what is wrong with a result. */
async function ask(provider: WexGatewayProvider, operation: Operation, seed: number): Promise<string | undefined> {
  // Each has a model of its own: what was learned of one says nothing of the others.
  const model = `m-${seed}`;
  if (operation === 'embeddings') {
    const texts = [`#${seed}#`, 'b', 'c'];
    const { embeddings } = await provider.generateEmbeddings(texts, { model });
    if (embeddings.length !== texts.length) return `${embeddings.length} vectors`;
    const [first] = embeddings;
    const isGood = embeddings.every(
      (vector) => vector instanceof Float32Array && vector.length === first?.length && vector.every(Number.isFinite),
    );
    return isGood ? undefined : 'a vector that is none';
  }
  let result: Awaited<ReturnType<WexGatewayProvider['generateText']>> | undefined;
  if (operation === 'text') result = await provider.generateText(`#${seed}#`, { model });
  else {
    for await (const chunk of provider.streamText(`#${seed}#`, { model })) {
      if (chunk.type === 'end') result = chunk.result;
    }
  }
  if (result === undefined) return 'no end';
  const { text, finishReason, toolCalls = [], usage } = result;
  if (typeof text !== 'string' || (finishReason !== null && typeof finishReason !== 'string'))
    return 'a text that is none';
  if (finishReason === '' || finishReason === 'error') return `the finish reason ${JSON.stringify(finishReason)}`;
  if (toolCalls.some(({ id, name }) => id === '' || name === '')) return 'a tool call without id or name';
  if (![usage.inputTokens, usage.outputTokens].every((count) => count === null || Number.isSafeInteger(count)))
    return 'a count that is none';
  return undefined;
}
