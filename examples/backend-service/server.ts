import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { type HybridProviderManager, InvalidInputError, type Logger, type VectorIndex } from '@pulse/ai-providers';
import { toHttpError } from './to-http-error.js';

interface Services {
  readonly manager: HybridProviderManager;
  readonly index: VectorIndex;
  readonly logger: Logger;
}

interface Call {
  readonly tenantId: number;
  readonly parameter: string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

type Handler = (call: Call) => Promise<unknown>;

const tableName = 'notes';

function routes({ manager, index }: Services): Readonly<Record<string, Handler>> {
  return {
    'PUT notes': async ({ tenantId, parameter, body, signal }) => {
      const text = body.text as string;
      const { ids, cost } = await index.upsert([{ recordId: parameter, text, metadata: { text } }], {
        tenantId,
        tableName,
        signal,
      });
      return { id: ids[0], cost };
    },
    'GET notes': async ({ tenantId, query, signal }) => {
      const hits = await index.search(query.get('q') ?? '', {
        tenantId,
        tableName,
        limit: 5,
        signal,
      });
      return hits.map(({ recordId, score, metadata }) => ({ noteId: recordId, score, text: metadata.text }));
    },
    'POST summaries': async ({ tenantId, body, signal }) => {
      const { text, provider, cost, failedOver } = await manager.generateText(body.text as string, {
        tenantId,
        system: 'Summarise in one sentence.',
        maxTokens: 100,
        signal,
      });
      return { text, provider, cost, failedOver: failedOver.map(({ code }) => code) };
    },
    'GET health': ({ tenantId, signal }) => manager.health(tenantId, { signal }),
  };
}

/** `/tenants/{tenantId}/{resource}/{parameter}`. Here the tenant stands in the path; a real service takes it from the caller's token. */
export function createBackendServer(services: Services): Server {
  const handlers = routes(services);
  return createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const [, , tenant, resource, parameter = ''] = pathname.split('/');
    const handler = handlers[`${request.method} ${resource}`];
    if (handler === undefined) return send(response, 404, { code: 'not_found', message: 'There is no such resource.' });
    try {
      const body = await readBody(request);
      const signal = abortedWith(response);
      send(response, 200, await handler({ tenantId: Number(tenant), parameter, query: searchParams, body, signal }));
    } catch (error) {
      const { status, headers, body } = toHttpError(error);
      if (status >= 500) services.logger.error({ error, path: pathname }, 'A request failed.');
      send(response, status, body, headers);
    }
  });
}

async function readBody(request: IncomingMessage): Promise<Call['body']> {
  if (request.method === 'GET') return {};
  const body: unknown = await json(request).catch(() => undefined);
  if (typeof body === 'object' && body !== null) return body as Call['body'];
  throw new InvalidInputError('Expected a JSON object as the body of the request.');
}

/** A client that hangs up stops the work, and the bill, for it. */
function abortedWith(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableEnded) controller.abort(new Error('The client went away.'));
  });
  return controller.signal;
}

function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(body));
}
