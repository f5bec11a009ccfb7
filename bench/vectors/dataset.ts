export const dimension = 384;

/** Which part of the points a filter leaves: all of the tenant, a tenth, a thousandth. */
export const selections = [
  { name: 'tenant', filter: undefined, matches: (_: number) => true },
  { name: '10 %', filter: { must: [{ key: 'tenth', match: { value: 0 } }] }, matches: (at: number) => at % 10 === 0 },
  {
    name: '0.1 %',
    filter: { must: [{ key: 'thousandth', match: { value: 0 } }] },
    matches: (at: number) => at % 1000 === 0,
  },
] as const;

const centerCount = 200;

/** Vectors in clusters, as embeddings of texts lie; each is a function of its number alone. */
export class Dataset {
  readonly #centers = Array.from({ length: centerCount }, (_, at) => noise(at + 1, 1, new Float32Array(dimension)));

  vector(at: number, target = new Float32Array(dimension)): Float32Array {
    const vector = noise(at + 1_000_000, 0.7, target);
    const center = this.#centers[(at * 7919) % centerCount] as Float32Array;
    for (let index = 0; index < dimension; index++)
      vector[index] = (vector[index] as number) + (center[index] as number);
    return vector;
  }

  /** A query lies in a cluster, and is not one of the points. */
  query(at: number): Float32Array {
    return this.vector(50_000_000 + at * 13);
  }

  /** A UUID, spread over the whole range as UUIDv5 are. */
  id(at: number): string {
    const high = (Math.imul(at + 1, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
    return `${high}-0000-5000-8000-${at.toString(16).padStart(12, '0')}`;
  }

  payload(at: number) {
    return {
      tenth: at % 10,
      thousandth: at % 1000,
      title: `A passage of the document number ${at}`,
      language: at % 3 === 0 ? 'en' : 'de',
      updated_at: '2026-11-23T08:00:00Z',
    };
  }
}

/** Uniform numbers of xorshift32: mixing them is cheap next to what is measured. */
function noise(seed: number, scale: number, values: Float32Array): Float32Array {
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  for (let index = 0; index < dimension; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[index] = (state / 2 ** 31) * scale;
  }
  return values;
}
