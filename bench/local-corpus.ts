import { readFileSync } from 'node:fs';
import { readmeSentences } from './readme-sentences.js';

/** English from the README files of the installed packages. */
export interface Corpus {
  /** One sentence. */
  readonly short: readonly string[];
  /** One to fourteen sentences. */
  readonly mixed: readonly string[];
  /** As long as the model reads, 256 tokens, or longer. */
  readonly long: readonly string[];
}

export function makeCorpus(): Corpus {
  const sentences = readmeSentences();
  // A fixed shuffle, so that neighbours are not of one README.
  const shuffled = sentences.map((_, index) => sentences[(index * 7919) % sentences.length]!);
  let next = 0;
  const take = (count: number): string => {
    next += count;
    return shuffled.slice(next - count, next).join(' ');
  };
  return {
    short: Array.from({ length: 1024 }, () => take(1)),
    mixed: Array.from({ length: 256 }, (_, index) => take([1, 1, 1, 2, 2, 3, 4, 14][index % 8]!)),
    long: Array.from({ length: 48 }, () => take(16)),
  };
}

export function readCorpus(file: string): Corpus {
  return JSON.parse(readFileSync(file, 'utf8')) as Corpus;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
