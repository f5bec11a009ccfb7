/** Runs one contender in a process of its own and prints what it took as JSON. */
const [name, baseUrl, count] = process.argv.slice(2);
const apiKey = 'key';
const model = 'text-embedding-3-small';

const openAi = async () => {
  const { default: OpenAI } = await import('openai');
  return new OpenAI({ baseURL: baseUrl, apiKey, maxRetries: 0 });
};
const langChain = async (options) => {
  const { OpenAIEmbeddings } = await import('@langchain/openai');
  const embeddings = new OpenAIEmbeddings({ model, apiKey, configuration: { baseURL: baseUrl }, ...options });
  return (texts) => embeddings.embedDocuments(texts);
};
const pulse = async (options) => {
  const { WexGatewayProvider } = await import('../dist/index.js');
  const provider = new WexGatewayProvider({ baseUrl, apiKey, embeddingModel: model, ...options });
  return async (texts) => (await provider.generateEmbeddings(texts)).embeddings;
};

/** What reading the answers takes, without making anything of them: nobody can be faster. */
const discard = async () => {
  const { request } = await import('undici');
  return async (texts) => {
    const starts = Array.from({ length: Math.ceil(texts.length / 100) }, (_, batch) => batch * 100);
    const work = async () => {
      for (let start = starts.shift(); start !== undefined; start = starts.shift()) {
        const body = JSON.stringify({ model, input: texts.slice(start, start + 100), encoding_format: 'base64' });
        const headers = { 'content-type': 'application/json' };
        const answer = await request(`${baseUrl}/embeddings`, { method: 'POST', headers, body });
        for await (const _ of answer.body);
      }
    };
    await Promise.all([work(), work(), work(), work()]);
  };
};

const contenders = {
  'one text a request': async () => {
    const client = await openAi();
    return async (texts) => {
      const vectors = [];
      for (const input of texts) vectors.push((await client.embeddings.create({ model, input })).data[0].embedding);
      return vectors;
    };
  },
  'openai, a loop of batches of 100': async () => {
    const client = await openAi();
    return async (texts) => {
      const vectors = [];
      for (let start = 0; start < texts.length; start += 100) {
        const { data } = await client.embeddings.create({ model, input: texts.slice(start, start + 100) });
        for (const { embedding } of data) vectors.push(embedding);
      }
      return vectors;
    };
  },
  'AI SDK embedMany': async () => {
    const { embedMany } = await import('ai');
    const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
    const provider = createOpenAICompatible({ name: 'bench', baseURL: baseUrl, apiKey });
    return async (values) => (await embedMany({ model: provider.embeddingModel(model), values })).embeddings;
  },
  'LangChain OpenAIEmbeddings': () => langChain({}),
  'LangChain, batches of 100, 4 at once': () => langChain({ batchSize: 100, maxConcurrency: 4 }),
  'undici, bodies thrown away, batches of 100, 4 at once': discard,
  '@pulse/ai-providers, batches of 512': () => pulse({ batchSize: 512 }),
  '@pulse/ai-providers': () => pulse({}),
};

if (name === '--names') {
  process.stdout.write(JSON.stringify(Object.keys(contenders)));
} else {
  const embed = await contenders[name]();
  const texts = (length, from) => Array.from({ length }, (_, i) => `text number ${from + i} of the benchmark`);
  await embed(texts(Math.min(400, count / 4), 1_000_000));
  gc();
  const rssBefore = process.memoryUsage.rss();
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const vectors = await embed(texts(Number(count), 0));
  const wallMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  const isRight = vectors?.length === Number(count) && vectors.every((vector) => vector.length === 1536);
  if (vectors !== undefined && !isRight) throw new Error(`${name}: wrong vectors`);
  const peakBytes = process.resourceUsage().maxRSS * 1024 - rssBefore;
  process.stdout.write(JSON.stringify({ wallMs, cpuMs: (user + system) / 1000, peakBytes }));
}
