/** How capable a model a task asks for. */
export type TaskTier = 'simple' | 'standard' | 'complex';

export interface TextTask {
  /** All that the model has to read. */
  readonly text: string;
  readonly hasSchema?: boolean | undefined;
  readonly toolCount?: number | undefined;
}

export interface TaskComplexity {
  readonly tier: TaskTier;
  /** The sum of the weights of the signs found. */
  readonly score: number;
  /** The signs, strongest first. */
  readonly signs: readonly string[];
}

interface Sign {
  readonly name: string;
  readonly weight: number;
  isIn(text: string, task: TextTask): boolean;
}

/** Only this much from either end is searched: instructions come first or last, and the rest is material. */
const searchedLength = 2000;

const signs: readonly Sign[] = [
  {
    name: 'reasoning words',
    weight: 3,
    isIn: (text) =>
      /\b(step by step|prove|derive|trade-?offs?|root cause|refactor|architect|debug|reason (about|through)|compare and|evaluate|analy[sz]e|optimi[sz]e|plan (for|to|the))\b/i.test(
        text,
      ),
  },
  {
    name: 'code',
    weight: 2,
    isIn: (text) =>
      /```|^[ \t]*(import|def|class|function|const|SELECT|#include)\b|[;{}][ \t]*$|=>|<\/\w+>/m.test(text),
  },
  { name: 'very long', weight: 2, isIn: (_, task) => task.text.length > 20_000 },
  { name: 'several tools', weight: 2, isIn: (_, { toolCount = 0 }) => toolCount > 1 },
  { name: 'long', weight: 1, isIn: (_, task) => task.text.length > 2000 },
  { name: 'several questions', weight: 1, isIn: (text) => /[?？][^?？]*[?？]/.test(text) },
  { name: 'several steps', weight: 1, isIn: (text) => /(^|\n)[ \t]*2[.)]\s|\b(then|after that|finally)\b/i.test(text) },
  { name: 'a schema', weight: 1, isIn: (_, { hasSchema = false }) => hasSchema },
  { name: 'a tool', weight: 1, isIn: (_, { toolCount = 0 }) => toolCount > 0 },
];

/**
 * Estimates how hard a task is from its look, in microseconds and without a call: a score of 0 is `simple`, up to 3
 * `standard`, more `complex`. Signs and weights: reasoning words 3; code, very long (20,000 characters), several tools
 * 2; long (2,000 characters), several questions, several steps, a schema, a tool 1. A heuristic for saving money on the
 * easy tasks: name the tier yourself if you know it.
 *
 * @example
 * estimateTaskComplexity({ text: 'Translate to French: good morning' })             // simple
 * estimateTaskComplexity({ text: 'Prove step by step that …', hasSchema: true })    // complex
 */
export function estimateTaskComplexity(task: TextTask): TaskComplexity {
  const { text } = task;
  const searched =
    text.length <= 2 * searchedLength ? text : `${text.slice(0, searchedLength)}\n${text.slice(-searchedLength)}`;
  const found = signs.filter((sign) => sign.isIn(searched, task));
  const score = found.reduce((sum, { weight }) => sum + weight, 0);
  return {
    tier: score === 0 ? 'simple' : score <= 3 ? 'standard' : 'complex',
    score,
    signs: found.map(({ name }) => name),
  };
}
