// Compares the local engine with Qdrant's own code, filter by filter, with and without payload indexes.
//
//   npm run test:congruence                       20,000 filters
//   npm run test:congruence -- 200000 [seed]      as many as one likes
//
// Qdrant's code is the package qdrant-edge-py of PyPI; it is installed into a virtual environment next to node_modules'
// other caches. Without Python or the package nothing can be compared: then this says so, and fails if CI is set.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { type Job, randomJob } from './random-filters.js';

/** Its text without an index is that of Qdrant 1.19.1, and so is the engine's. */
const edgePackage = 'qdrant-edge-py==0.9.0';
const filtersOfJob = 250;
const shownDifferences = 10;

const filterCount = Number(process.argv[2] ?? 20_000);
const seed = Number(process.argv[3] ?? 1);

async function run(): Promise<number> {
  const python = installEdge();
  if (python === undefined) {
    process.stdout.write(
      `The congruence with Qdrant was NOT tested: Python 3 with ${edgePackage} cannot be installed here (see above).\n`,
    );
    return process.env.CI ? 1 : 0;
  }
  const edge = new Edge(python);
  let [compared, matched, different] = [0, 0, 0];
  for (let number = 0; compared < filterCount; number++) {
    const job = randomJob(seed * 1_000_003 + number, Math.min(filtersOfJob, filterCount - compared));
    const [expected, actual] = await Promise.all([edge.answer(job), askEngine(job)]);
    job.filters.forEach((filter, at) => {
      const [edgeFound, found] = [expected.found[at] ?? [], actual.found[at] ?? []];
      matched += edgeFound.length;
      if (!isDeepStrictEqual(edgeFound, found)) show(++different, job, filter, edgeFound, found);
    });
    job.facets.forEach((key, at) => {
      if (!isDeepStrictEqual(sorted(expected.facets[at]), sorted(actual.facets[at]))) {
        show(++different, job, { facet: key }, [expected.facets[at]], [actual.facets[at]]);
      }
    });
    compared += job.filters.length;
    if (number % 80 === 79) process.stdout.write(`${compared} filters, ${different} differences\n`);
  }
  edge.close();
  process.stdout.write(
    `${compared} filters x 60 points (seed ${seed}), ${matched} of them found by a filter: ${different} differences\n`,
  );
  return different === 0 ? 0 : 1;
}

function show(
  number: number,
  job: Job,
  filter: unknown,
  expected: readonly unknown[],
  actual: readonly unknown[],
): void {
  if (number > shownDifferences) return;
  const odd = [...expected, ...actual].filter((id) => !(expected.includes(id) && actual.includes(id)));
  const payload = job.points.find(({ id }) => id === odd[0])?.payload;
  const lines = {
    filter,
    indexes: job.indexes,
    indexesFirst: job.indexesFirst,
    qdrant: expected,
    engine: actual,
    payload,
  };
  process.stdout.write(`Different: ${JSON.stringify(lines)}\n`);
}

type Facet = (readonly [unknown, number])[] | 'refused';

function sorted(facet: Facet = []): Facet {
  if (facet === 'refused') return facet;
  return [...facet].sort((left, right) => (String(left[0]) < String(right[0]) ? -1 : 1));
}

interface Answers {
  readonly found: readonly (readonly number[])[];
  readonly facets: readonly Facet[];
}

async function askEngine(job: Job): Promise<Answers> {
  const client = await LocalQdrantClient.open({ location: ':memory:' });
  await client.createCollection('docs', { vectors: { size: 1, distance: 'Dot' } });
  const makeIndexes = async (): Promise<void> => {
    for (const [key, schema] of Object.entries(job.indexes)) {
      await client.createPayloadIndex('docs', { field_name: key, field_schema: schema });
    }
  };
  if (job.indexesFirst) await makeIndexes();
  await client.upsert('docs', { points: job.points.map((point) => ({ ...point, vector: [1] })) });
  if (!job.indexesFirst) await makeIndexes();
  const found: number[][] = [];
  for (const filter of job.filters) {
    const { points } = await client.scroll('docs', { filter, limit: 100, with_payload: false });
    found.push(points.map(({ id }) => id as number));
  }
  const facets: Facet[] = [];
  for (const key of job.facets) {
    try {
      const { hits } = await client.facet('docs', { key, limit: 1000 });
      facets.push(hits.map(({ value, count }) => [value, count]));
    } catch {
      facets.push('refused');
    }
  }
  return { found, facets };
}

/** Qdrant's code in a process of its own. */
class Edge {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(python: string) {
    this.#process = spawn(python, [fileURLToPath(new URL('qdrant-edge.py', import.meta.url))], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (!this.#process.stdout) throw new Error('The process of Qdrant has no output.');
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  async answer(job: Job): Promise<Answers> {
    this.#process.stdin?.write(`${JSON.stringify(job)}\n`);
    const line = await this.#lines.next();
    if (line.done) throw new Error('The process of Qdrant ended.');
    const answers = JSON.parse(line.value) as Answers & { failed?: string };
    if (answers.failed !== undefined) throw new Error(`Qdrant refused a job: ${answers.failed}`);
    return answers;
  }

  close(): void {
    this.#process.stdin?.end();
  }
}

/** The Python that has the package; undefined if it cannot be installed. */
function installEdge(): string | undefined {
  const folder = fileURLToPath(new URL('../../node_modules/.cache/qdrant-edge', import.meta.url));
  const python = `${folder}/bin/python`;
  const has = (): boolean =>
    existsSync(python) && spawnSync(python, ['-c', 'import qdrant_edge'], { stdio: 'ignore' }).status === 0;
  if (has()) return python;
  const call = (command: string, ...args: string[]): boolean => {
    const { status, error } = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    if (error) process.stdout.write(`${error.message}\n`);
    return status === 0;
  };
  const isMade = call('python3', '-m', 'venv', folder) && call(python, '-m', 'pip', 'install', '-q', edgePackage);
  return isMade && has() ? python : undefined;
}

process.exitCode = await run();
