import {
  isOutage,
  localDimension,
  month,
  type Outcome,
  paidDimension,
  replayMonth,
  tokensOf,
  vectorOf,
} from './month.js';
import { isSame } from './ours.js';

/**
 * The algorithm of the platform's document as it is written there: up to 10 texts go to the local model and more to the gateway, in batches
 * of 100; a batch that fails becomes vectors of zeros; the collection has the gateway's dimension, and everything is embedded at every load.
 */
export function runSeed(): Outcome {
  const tokens = { paid: 0, free: 0 };
  const stored = new Map<number, Float32Array>();
  let [calls, answered] = [0, 0];
  let last: readonly { readonly id: number; readonly text: string }[] = [];
  const embed = (texts: readonly string[], day: number, hour: number): Float32Array[] => {
    if (texts.length <= 10) {
      tokens.free += texts.reduce((sum, text) => sum + tokensOf(text), 0);
      return texts.map((text) => vectorOf(text, localDimension));
    }
    const vectors: Float32Array[] = [];
    for (let start = 0; start < texts.length; start += 100) {
      const batch = texts.slice(start, start + 100);
      if (isOutage(day, hour)) vectors.push(...batch.map(() => new Float32Array(paidDimension)));
      else {
        tokens.paid += batch.reduce((sum, text) => sum + tokensOf(text), 0);
        vectors.push(...batch.map((text) => vectorOf(text, paidDimension)));
      }
    }
    return vectors;
  };
  for (const { day, items, queries } of replayMonth()) {
    calls++;
    const vectors = embed(
      items.map(({ text }) => text),
      day,
      month.ingestHour,
    );
    items.forEach(({ id }, at) => {
      stored.set(id, vectors[at]!);
    });
    if (!isOutage(day, month.ingestHour)) answered++;
    for (const { hour, text } of queries) {
      calls++;
      // A server refuses a query of another dimension than its collection's.
      if (embed([text], day, hour)[0]!.length === paidDimension) answered++;
    }
    last = items;
  }
  const right = last.filter(({ id, text }) => isSame(stored.get(id)!, vectorOf(text, paidDimension))).length;
  const mixedVectors = [...stored.values()].filter((vector) => vector.every((value) => value === 0)).length;
  return {
    name: "the seed's algorithm, as written",
    paidTokens: tokens.paid,
    freeTokens: tokens.free,
    calls,
    answered,
    mixedVectors,
    lostRecords: last.length - right,
  };
}
