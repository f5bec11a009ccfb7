// The real Qdrant client, as installed, against a server that answers as little as the calls need.
import { createServer } from 'node:http';
import { PulseQdrantClient } from '@pulse/ai-providers';

const answers = {
  'GET /collections/client_1_notes': {
    status: 'green',
    points_count: 1,
    config: { params: { vectors: { size: 2, distance: 'Cosine' } } },
    payload_schema: {},
  },
  'POST /collections/client_1_notes/points/query': {
    points: [{ id: 'a', version: 0, score: 0.9, payload: { record_id: 5, table_name: 'notes', client_id: 1 } }],
  },
};
const requests = [];
const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    const name = `${request.method} ${request.url.split('?')[0]}`;
    requests.push(name);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ status: 'ok', time: 0, result: answers[name] }));
  });
}).listen(0, '127.0.0.1', async () => {
  const store = new PulseQdrantClient({ host: '127.0.0.1', port: server.address().port });
  const [hit] = await store.searchSimilar(1, 'notes', [1, 0]);
  await store.close();
  server.closeAllConnections();
  server.close();
  console.log(JSON.stringify({ hit: hit.recordId, requests }));
});
