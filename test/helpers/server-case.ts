import { setTimeout as sleep } from 'node:timers/promises';
import { inspect, isDeepStrictEqual } from 'node:util';
import {
  HybridProviderManager,
  MemoryIntegrationRepository,
  openAiKind,
  ProviderFactory,
  RepositoryError,
  wexGatewayKind,
} from '#src/index.js';
import { FakeServer, fakeServerVector, matchesRequest, type ServerCase } from '#src/testing/index.js';

const apiKey = 'sk-tenant-0123456789abcdef';
const fallbackText = 'from the fallback';

// The cases are JSON: their fields have no types.
// biome-ignore lint/suspicious/noExplicitAny: see above
type Any = any;

const list = (value: Any): Any[] => (value === undefined ? [] : [value].flat());

/** Which fields of an expectation the runner knows. A misspelt one would never fail. */
const knownExpectations = new Set(
  'text finishReason output toolCalls usage cost status streamed vectors error toldOperator recorded requests maxRequests withinMs maxSentMb sent failover outcome'.split(
    ' ',
  ),
);

function show(value: unknown): string {
  const shown =
    value instanceof Error
      ? `${(value as Any).code ?? value.name} «${value.message}»`
      : inspect(value, { depth: 4, breakLength: Infinity });
  return shown.slice(0, 400);
}

function inputOf(input: Any): Any {
  if (input?.texts !== undefined) return Array.from({ length: input.texts }, (_, position) => `text ${position}`);
  return input?.times === undefined ? input : input.repeat.repeat(input.times);
}

function optionsOf({ schema, ...options }: Any = {}): Any {
  if (schema === undefined) return options;
  const names = Object.keys(schema);
  const validate = (value: Any) =>
    names.every((name) => typeof value?.[name] === schema[name])
      ? { value }
      : { issues: [{ message: 'another type' }] };
  const properties = Object.fromEntries(names.map((name) => [name, { type: schema[name] }]));
  const jsonSchema = { type: 'object', properties, required: names, additionalProperties: false };
  return { ...options, schema: { '~standard': { version: 1, vendor: 'cases', validate } }, jsonSchema };
}

/** A repository with the fault that the case asks of its usage table. */
function withFault(repository: Any, { delayMs, hangs, refuses }: Any = {}): Any {
  return new Proxy(repository, {
    get(target, name) {
      const value = target[name];
      if (typeof value !== 'function') return value;
      if (!String(name).startsWith('record')) return value.bind(target);
      return async (...args: Any[]) => {
        const { signal } = args.at(-1) ?? {};
        if (hangs) await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
        if (delayMs) await sleep(delayMs);
        if (refuses !== undefined && JSON.stringify(args).includes(refuses)) {
          const cause = new Error('violates a foreign key constraint');
          throw new RepositoryError('The row was refused.', { operation: 'recordUsage', isRetryable: false, cause });
        }
        return value.apply(target, args);
      };
    },
  });
}

async function askOnce(target: Any, operation: string, input: Any, options: Any): Promise<Any> {
  if (operation === 'health') return { result: await target.health() };
  if (operation === 'embeddings') return { result: await target.generateEmbeddings(input, options) };
  if (operation === 'text') return { result: await target.generateText(input, options) };
  const outcome: Any = { streamed: '', error: new Error('The stream had no end.') };
  try {
    for await (const chunk of target.streamText(input, options)) {
      if (chunk.type === 'text') outcome.streamed += chunk.text;
      else Object.assign(outcome, { result: chunk.result, error: undefined });
    }
  } catch (error) {
    Object.assign(outcome, { result: undefined, error });
  }
  return outcome;
}

async function ask(target: Any, operation: string, call: Any, tenant: object): Promise<Any> {
  const abort = new AbortController();
  if (call.abortAfterMs) void sleep(call.abortAfterMs).then(() => abort.abort(new Error('the caller went away')));
  const startedAt = performance.now();
  let outcome: Any;
  try {
    const input = inputOf(call.input);
    const options = { ...tenant, ...optionsOf(call.options), ...(call.abortAfterMs ? { signal: abort.signal } : {}) };
    outcome = await askOnce(await target(), operation, input, options);
    if (call.toolResult !== undefined && outcome.error === undefined) {
      const results = list(outcome.result.toolCalls).map(({ id }) => ({
        role: 'tool',
        toolCallId: id,
        content: call.toolResult,
      }));
      const turns = [{ role: 'user', content: input }, outcome.result.message, ...results];
      outcome = { ...(await askOnce(await target(), operation, turns, options)), firstResult: outcome.result };
    }
  } catch (error) {
    outcome = { ...outcome, firstResult: outcome?.result, result: undefined, error };
  }
  return { ...outcome, ms: performance.now() - startedAt };
}

/** Runs a case once. `withFallback`: through the manager, with a second integration that is faultless. */
async function replay(test: Any, withFallback: boolean): Promise<Any> {
  await using server = await FakeServer.start(test.replies);
  await using fallback = await FakeServer.start([{ ok: fallbackText }]);
  const rowOf = (row: Any, id: number, url: string, fallbackIntegrationId: number | null = null) => ({
    ...{ id, tenantId: 7, provider: 'wex_ai_gateway', password: apiKey, fallbackIntegrationId, ...row },
    baseUrl: (row.baseUrl ?? '{server}/v1').replace('{server}', url),
    aiModelConfig: {
      text_model: 'model-a',
      embedding_model: 'embed-a',
      timeout: 5,
      retry_delay: 0.005,
      ...row.aiModelConfig,
    },
  });
  const integrations = [rowOf(test.row ?? {}, 1, server.url, withFallback ? 2 : null)];
  if (withFallback) integrations.push(rowOf(test.fallbackRow ?? {}, 2, fallback.url));
  const repository = new MemoryIntegrationRepository({ integrations });
  const logged: string[] = [];
  const log = (...parts: unknown[]) => void logged.push(inspect(parts, { depth: 6 }));
  const logger = { debug() {}, info: log, warn: log, error: log };
  const credentialCipher = { decrypt: async (password: string) => password };
  const kinds = [wexGatewayKind({ credentialCipher }), openAiKind({ credentialCipher })];
  const factory = new ProviderFactory({ repository: withFault(repository, test.repository), kinds, logger });
  const manager = new HybridProviderManager({ factory, logger, ...test.manager });
  const isManaged = withFallback || test.manager !== undefined;
  const target = async () => (isManaged ? manager : factory.getProvider(7));
  const askFor = (call: Any) => ask(target, call.operation ?? test.operation, call, isManaged ? { tenantId: 7 } : {});
  Object.assign(process.env, test.environment);
  try {
    for (const { times = 1, pauseMs, ...call } of test.callsBefore ?? []) {
      for (let n = 0; n < times; n++) await askFor(call);
      if (pauseMs) await sleep(pauseMs);
    }
    const requestsBefore = server.requests.length;
    const { load = { calls: 1 } } = test.call ?? {};
    const calls: Promise<Any>[] = [];
    for (let n = 0; n < load.calls; n++) {
      calls.push(askFor(test.call ?? {}));
      if (load.perSecond) await sleep(1000 / load.perSecond);
    }
    const outcomes = await Promise.all(calls);
    // Of many calls, one that failed, or else the slowest.
    const outcome = outcomes.find(({ error }) => error) ?? outcomes.toSorted((a, b) => b.ms - a.ms)[0];
    await Promise.race([factory.close().catch(() => {}), sleep(4000, undefined, { ref: false })]);
    return {
      ...outcome,
      inputs: list(inputOf(test.call?.input)),
      requests: server.requests.slice(requestsBefore),
      sentMb: server.sentBytes / 2 ** 20,
      fallbackRequests: fallback.requests,
      rows: repository.usage,
      logged,
    };
  } finally {
    for (const name of Object.keys(test.environment ?? {})) delete process.env[name];
  }
}

const isNear = (a: Any, b: Any) =>
  a === null || b === null || a === undefined ? a === b : Math.abs(Number(a) - Number(b)) < 1e-9;
const wrong = (what: string, expected: unknown, came: unknown) =>
  `${what}: expected ${show(expected)}, came ${show(came)}`;

/** Each expectation that was not met, in words. */
function* unmet(expect: Any, seen: Any): Generator<string> {
  const { result, error, requests } = seen;
  for (const name of Object.keys(expect)) if (!knownExpectations.has(name)) yield `unknown expectation ${name}`;
  const mayFail = expect.error !== undefined || expect.outcome === 'any';
  if (!mayFail && error !== undefined) yield wrong('outcome', 'an answer', error);
  if (expect.error !== undefined && error === undefined) yield wrong('outcome', expect.error, result);
  if (expect.error !== undefined && error !== undefined) yield* unmetOfError(expect.error, error);
  for (const name of ['text', 'output', 'status', 'finishReason']) {
    if (!(name in expect) || result === undefined) continue;
    const expected = name === 'output' ? [expect.output] : list(expect[name]);
    const came = result[name] ?? null;
    if (!expected.some((each) => isDeepStrictEqual(each, came))) yield wrong(name, expect[name], came);
  }
  const streamed = expect.streamed ?? (result === undefined ? undefined : expect.text);
  if (seen.streamed !== undefined && streamed !== undefined && seen.streamed !== streamed)
    yield wrong('streamed text', streamed, seen.streamed);
  if (expect.toolCalls !== undefined) {
    const calls = list((seen.firstResult ?? result)?.toolCalls);
    const shown = calls.map(({ name, arguments: args }) => ({ name, arguments: args }));
    if (!isDeepStrictEqual(shown, expect.toolCalls)) yield wrong('tool calls', expect.toolCalls, shown);
    const ids = new Set(calls.map(({ id }) => id).filter((id) => typeof id === 'string' && id !== ''));
    if (ids.size !== calls.length) yield wrong('ids of tool calls', 'each one of its own', [...ids]);
  }
  if (expect.vectors !== undefined) yield* unmetOfVectors(expect.vectors, seen);
  for (const [name, count] of Object.entries(expect.usage ?? {})) {
    if (result !== undefined && result.usage[name] !== count) yield wrong(`usage.${name}`, count, result.usage[name]);
  }
  if ('cost' in expect && result !== undefined && !isNear(result.cost, list(expect.cost)[0]))
    yield wrong('cost', expect.cost, result.cost);
  const costs = seen.rows.map(({ requestMetadata }: Any) => Number(requestMetadata.cost_usd));
  const recorded: Any = { rows: seen.rows.length, cost: costs.reduce((sum: number, cost: number) => sum + cost, 0) };
  for (const [name, value] of Object.entries(expect.recorded ?? {})) {
    if (!isNear(recorded[name], value)) yield wrong(`recorded ${name}`, value, recorded[name]);
  }
  if (expect.requests !== undefined && requests.length !== expect.requests)
    yield wrong('requests', expect.requests, requests.length);
  // No limit in milliseconds is checked closer than this: other tests run beside it.
  const most: Any = { maxRequests: requests.length, maxSentMb: seen.sentMb, withinMs: seen.ms / 3 };
  for (const [name, came] of Object.entries(most)) {
    if ((came as number) > (expect[name] ?? Infinity)) yield wrong(name, `at most ${expect[name]}`, came);
  }
  for (const words of list(expect.toldOperator)) {
    const lines = [error?.message ?? '', ...seen.logged];
    if (!lines.some((line) => line.includes(words))) yield wrong('in an error or a log', words, lines);
  }
  for (const { request = 'last', has, lacks, equals, headers = {}, path } of expect.sent ?? []) {
    const sent = requests.at(request === 'last' ? -1 : request - 1);
    if (sent === undefined) return yield wrong(`request ${request}`, 'to be sent', undefined);
    if (!matchesRequest({ has, lacks, equals }, sent)) yield wrong('request', { has, lacks, equals }, sent.body);
    if (path !== undefined && sent.path !== path) yield wrong('path', path, sent.path);
    for (const [name, value] of Object.entries(headers)) {
      if ((sent.headers[name] ?? null) !== value) yield wrong(`header ${name}`, value, sent.headers[name]);
    }
  }
}

function* unmetOfError(expected: Any, error: Any): Generator<string> {
  if (expected.message !== undefined && error.message !== expected.message)
    yield wrong('message', expected.message, error);
  if (expected.code !== undefined && !list(expected.code).includes(error.code))
    yield wrong('code', expected.code, error);
  for (const name of ['isRetryable', 'retryAfterMs', 'requestId']) {
    if (expected[name] !== undefined && error[name] !== expected[name]) yield wrong(name, expected[name], error[name]);
  }
  for (const words of list(expected.names)) if (!error.message.includes(words)) yield wrong('words', words, error);
  for (const words of list(expected.hides))
    if (inspect(error, { depth: 8 }).includes(words)) yield wrong('hidden', words, error);
}

/**
 * `all`; `{ missing }`: those have none, all others the right one; `{ never }`: those have none, whatever the others
 * have.
 */
function* unmetOfVectors(expected: Any, { result, error, inputs }: Any): Generator<string> {
  const vectors = (result ?? error?.partialResult)?.embeddings ?? [];
  const stateOf = (text: string, vector: Float32Array | undefined) => {
    if (vector === undefined) return 'missing';
    const right = fakeServerVector(text, vector.length);
    return right.every((value, at) => Math.abs(value - vector[at]!) < 1e-6) ? 'right' : 'wrong';
  };
  const states = inputs.map((text: string, position: number) => stateOf(text, vectors[position]));
  const bad = states.findIndex((state: string, position: number) => {
    if (expected.never !== undefined) return expected.never.includes(position) && state !== 'missing';
    return state !== (list(expected.missing).includes(position) ? 'missing' : 'right');
  });
  if (bad >= 0) yield wrong('vectors', expected, `vector ${bad} is ${states[bad]}: ${show(error)}`);
}

function* unmetOfFailover(expected: boolean, { result, error, streamed, fallbackRequests }: Any): Generator<string> {
  if (!expected && fallbackRequests.length > 0) yield 'failover: expected no other provider to be asked, but one was';
  if (expected && result?.integrationId !== 2) yield wrong('failover', 'the fallback to answer', error ?? result);
  const text = streamed ?? result?.text ?? fallbackText;
  if (expected && text !== fallbackText) yield wrong('failover', fallbackText, text);
}

/** @returns what was not as the case expects it. */
export async function problemsOf(test: ServerCase): Promise<string[]> {
  const expect = test.expect as Any;
  const seen = await replay(test, expect.cost !== undefined && test.fallbackRow !== undefined);
  const problems = [...unmet(expect, seen)];
  if (expect.failover !== undefined) problems.push(...unmetOfFailover(expect.failover, await replay(test, true)));
  return problems;
}
