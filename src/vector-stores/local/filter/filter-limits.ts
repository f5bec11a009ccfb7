import { badInput } from '../qdrant-api-error.js';

/**
 * What one filter may ask. All tenants of a store share a process, so that no filter may take it for itself: what is
 * refused here would take minutes, and the rest is evaluated in slices.
 */
const maxConditions = 16_384;
const maxValues = 262_144;
const maxTextCharacters = 65_536;
/** Conditions that are left after those on one field were joined: each is evaluated for itself, for every point. */
const maxJoinedConditions = 4_096;
/** How many values one point may make a filter look at, before the event loop gets a turn: some 0.1 s. */
const maxWorkPerPoint = 5_000_000;

/** Counts what a filter asks while it is parsed. */
export class FilterLimits {
  #conditions = 0;
  #joinedConditions = 0;
  #values = 0;
  #textCharacters = 0;

  addCondition(): void {
    this.#conditions++;
    refuseMore(this.#conditions, maxConditions, 'conditions');
  }

  addJoinedConditions(count: number): void {
    this.#joinedConditions += count;
    refuseMore(this.#joinedConditions, maxJoinedConditions, 'conditions on different fields, or of different kinds');
  }

  addMatch(match: unknown): void {
    if (typeof match !== 'object' || match === null) return;
    for (const asked of Object.values(match)) {
      if (Array.isArray(asked)) this.addValues(asked.length);
      if (typeof asked === 'string') this.#textCharacters += asked.length;
    }
    refuseMore(this.#textCharacters, maxTextCharacters, 'characters of text');
  }

  addValues(count: number): void {
    this.#values += count;
    refuseMore(this.#values, maxValues, 'values');
  }
}

function refuseMore(count: number, most: number, what: string): void {
  if (count > most) throw badInput(`a filter may have at most ${most} ${what}; split the request`);
}

// Conditions are evaluated synchronously, so one count at a time is enough.
let workLeft = maxWorkPerPoint;

/** Begins the evaluation of a filter on one point. */
export function beginPoint(): void {
  workLeft = maxWorkPerPoint;
}

/**
 * Counts the values that a condition looks at.
 *
 * @throws a 400 if that is too much for one point: a point may have hundreds of thousands of values, and a filter
 * thousands of conditions.
 */
export function spend(values: readonly unknown[], conditions: number, readsTexts: boolean): void {
  let work = 1;
  for (const value of values) {
    work += 1;
    if (Array.isArray(value)) work += value.length + (readsTexts ? textWork(value) : 0);
    else if (readsTexts) work += textWork([value]);
  }
  workLeft -= conditions * work;
  if (workLeft < 0) {
    throw badInput('a filter asks too much of a single point: its lists or texts are long; use fewer conditions');
  }
}

const charactersOfWork = 4;

function textWork(values: readonly unknown[]): number {
  let characters = 0;
  for (const value of values) if (typeof value === 'string') characters += value.length;
  return characters / charactersOfWork;
}
