import { InvalidInputError } from '../errors.js';
import { describeValue, isRecord } from './validate.js';

/**
 * Refuses what is not an option, since a misspelt one would be ignored without a word.
 *
 * @param keys - Every option there is; the compiler sees to it that none is left out.
 * @throws {@link InvalidInputError} with the unknown name and the known one that is most like it.
 */
export function requireKnownKeys<Options>(
  options: unknown,
  keys: Readonly<Record<keyof Options & string, unknown>>,
  name = 'options',
): void {
  const known = Object.keys(keys);
  if (!isRecord(options)) {
    throw new InvalidInputError(
      `Expected \`${name}\` to be an object with some of ${known.join(', ')}, got ${describeValue(options)}.`,
    );
  }
  const unknown = Object.keys(options).find((key) => options[key] !== undefined && !known.includes(key));
  if (unknown === undefined) return;
  throw new InvalidInputError(`Unknown key \`${unknown}\` in \`${name}\`.${suggestKey(unknown, known)}`);
}

/** ` Did you mean \`batch_size\`?`, or nothing if no known key is like it. */
export function suggestKey(key: string, known: readonly string[]): string {
  const wanted = withoutSeparators(key);
  const longest = Math.max(2, Math.ceil(wanted.length / 3));
  const [best] = known
    .map((candidate) => {
      const spelling = withoutSeparators(candidate);
      const isPart = wanted.length > 3 && (spelling.startsWith(wanted) || wanted.startsWith(spelling));
      return { candidate, distance: isPart ? 0 : editDistance(wanted, spelling) };
    })
    .filter(({ distance }) => distance <= longest)
    .toSorted((a, b) => a.distance - b.distance);
  return best === undefined ? '' : ` Did you mean \`${best.candidate}\`?`;
}

const withoutSeparators = (key: string) => key.toLowerCase().replaceAll(/[^a-z0-9]/g, '');

/** Levenshtein's: how many characters are added, left out or changed. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [line, character] of [...from].entries()) {
    const next = [line + 1];
    for (let at = 1; at <= to.length; at++) {
      const changed = row[at - 1]! + (to[at - 1] === character ? 0 : 1);
      next.push(Math.min(changed, row[at]! + 1, next[at - 1]! + 1));
    }
    row = next;
  }
  return row.at(-1)!;
}
