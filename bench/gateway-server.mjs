/** An embeddings endpoint with a fixed latency. Bodies are put together from ready pieces, so that the server takes little of the CPU. */
import { createServer } from 'node:http';

const [latencyMs, dimension] = process.argv.slice(2).map(Number);

const pool = Array.from({ length: 64 }, (_, seed) => {
  const vector = Float32Array.from(
    { length: dimension },
    (_, i) => Math.sin(seed * 7919 + i * 0.37) / Math.sqrt(dimension),
  );
  return {
    base64: JSON.stringify(Buffer.from(vector.buffer).toString('base64')),
    // Eight digits, as OpenAI sends them.
    float: `[${Array.from(vector, (value) => value.toFixed(8)).join(',')}]`,
  };
});

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const arrivedAt = performance.now();
    const { input, encoding_format: encoding = 'float', model } = JSON.parse(Buffer.concat(chunks).toString());
    const count = Array.isArray(input) ? input.length : 1;
    const items = Array.from(
      { length: count },
      (_, index) => `{"object":"embedding","index":${index},"embedding":${pool[index % pool.length][encoding]}}`,
    );
    const usage = `{"prompt_tokens":${count * 8},"total_tokens":${count * 8}}`;
    const body = Buffer.from(`{"object":"list","data":[${items.join(',')}],"model":"${model}","usage":${usage}}`);
    setTimeout(
      () => response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body),
      Math.max(0, latencyMs - (performance.now() - arrivedAt)),
    );
  });
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
