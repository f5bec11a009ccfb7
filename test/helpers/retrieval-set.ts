import { readFileSync } from 'node:fs';

export interface RetrievalSet {
  readonly queries: readonly string[];
  readonly passages: readonly string[];
  /** `relevance[query][passage]`: 2 answers it, 1 touches it, 0 does not. */
  readonly relevance: readonly (readonly number[])[];
}

export function readRetrievalSet(): RetrievalSet {
  const lines = readFileSync(new URL('../fixtures/retrieval-set.txt', import.meta.url), 'utf8').split('\n');
  const queries: string[] = [];
  const passages: { readonly text: string; readonly query: number; readonly grade: number }[] = [];
  for (const line of lines) {
    const [mark, text] = [line[0], line.slice(2)];
    if (mark === 'Q') queries.push(text);
    else if (mark !== undefined && '012'.includes(mark)) {
      passages.push({ text, query: queries.length - 1, grade: Number(mark) });
    }
  }
  return {
    queries,
    passages: passages.map(({ text }) => text),
    relevance: queries.map((_, query) => passages.map((passage) => (passage.query === query ? passage.grade : 0))),
  };
}

/** The mean over all queries of the normalised discounted cumulative gain of the ten nearest passages. */
export function ndcgAt10(
  queries: readonly Float32Array[],
  passages: readonly Float32Array[],
  relevance: RetrievalSet['relevance'],
): number {
  const scores = queries.map((query, index) => {
    const grades = relevance[index]!;
    const ranked = passages
      .map((passage, position) => ({ grade: grades[position]!, similarity: dot(query, passage) }))
      .sort((left, right) => right.similarity - left.similarity)
      .map(({ grade }) => grade);
    return gain(ranked) / gain([...grades].sort((left, right) => right - left));
  });
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

function gain(grades: readonly number[]): number {
  return grades.slice(0, 10).reduce((sum, grade, rank) => sum + (2 ** grade - 1) / Math.log2(rank + 2), 0);
}

function dot(left: Float32Array, right: Float32Array): number {
  return left.reduce((sum, value, index) => sum + value * right[index]!, 0);
}
