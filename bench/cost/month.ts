/** The month that every contender replays: the same records, changes, queries and outage at every run. */
export const month = {
  days: 30,
  recordCount: Number(process.env.COST_RECORDS ?? 50_000),
  changedShare: 0.05,
  newShare: 0.01,
  /** Records that are word for word like others, as generated tickets are. */
  duplicateShare: 0.08,
  queriesPerDay: 500,
  /** US dollars for 1,000 tokens: list price of text-embedding-3-small in 2026. */
  pricePer1k: 0.00002,
  /** From 1:00 for 7.2 hours on two days: 2 % of the month. */
  outage: { days: [7, 19], fromHour: 1, hours: 7.2 },
  ingestHour: 2,
} as const;

export interface Item {
  readonly id: number;
  readonly text: string;
}

/** What happens on a day; day 0 is the first load. */
export interface Day {
  readonly day: number;
  /** The whole table, as a nightly load hands it over. */
  readonly items: readonly Item[];
  /** With the hour of the day. */
  readonly queries: readonly { readonly hour: number; readonly text: string }[];
}

const words =
  'invoice report import stops record login screen button error total wrong export page load user role cache queue retry index search team sprint story branch merge review deploy region'.split(
    ' ',
  );

/** A generator with a seed: a run can be repeated. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function* replayMonth(): Generator<Day> {
  const random = generator(2026);
  const pick = (count: number) => Math.floor(random() * count);
  /** 60 to 740 characters, about 100 tokens on average. */
  const write = (serial: string) => {
    const length = 10 + pick(110);
    return `${serial} ${Array.from({ length }, () => words[pick(words.length)]).join(' ')}`;
  };
  const templates = Array.from({ length: 200 }, (_, at) => write(`template ${at}`));
  const create = (id: number, version: number) =>
    random() < month.duplicateShare ? templates[pick(templates.length)]! : write(`${id}.${version}`);
  const items: Item[] = Array.from({ length: month.recordCount }, (_, id) => ({ id, text: create(id, 0) }));
  const asked = Array.from({ length: 3_000 }, () => items[pick(items.length)]!.text.slice(0, 60));
  for (let day = 0; day <= month.days; day++) {
    if (day > 0) {
      const changed = Math.round(items.length * month.changedShare);
      const added = Math.round(items.length * month.newShare);
      for (let one = 0; one < changed; one++) {
        const at = pick(items.length);
        items[at] = { id: items[at]!.id, text: create(items[at]!.id, day) };
      }
      for (let one = 0; one < added; one++) items.push({ id: items.length, text: create(items.length, day) });
    }
    const queries = Array.from({ length: day === 0 ? 0 : month.queriesPerDay }, (_, at) => ({
      hour: (at * 24) / month.queriesPerDay,
      // Some questions are asked again and again.
      text: asked[Math.floor(asked.length * random() ** 2)]!,
    }));
    yield { day, items, queries };
  }
}

export function isOutage(day: number, hour: number): boolean {
  const { days, fromHour, hours } = month.outage;
  return (days as readonly number[]).includes(day) && hour >= fromHour && hour < fromHour + hours;
}

export function tokensOf(text: string): number {
  return Math.ceil(text.length / 4);
}

/** A direction for each text, so that a wrong vector under a record is noticed. */
export function vectorOf(text: string, dimension: number): Float32Array {
  let seed = 2_166_136_261;
  for (let at = 0; at < text.length; at++) seed = Math.imul(seed ^ text.charCodeAt(at), 16_777_619);
  const random = generator(seed);
  const vector = Float32Array.from({ length: dimension }, () => random() - 0.5);
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** What became of the month. */
export interface Outcome {
  readonly name: string;
  readonly paidTokens: number;
  readonly freeTokens: number;
  readonly calls: number;
  readonly answered: number;
  /** Vectors in the table at the end that are not of its embedding space: of another model, or zeros. */
  readonly mixedVectors: number;
  /** Records that are missing at the end, or whose vector is not of their text. */
  readonly lostRecords: number;
}

export const paidDimension = 16;
export const localDimension = 8;
