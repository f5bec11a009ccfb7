import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { estimateTaskComplexity, type TextTask } from '#src/core/routing/task-complexity.js';

describe('estimateTaskComplexity', () => {
  it.each<[TextTask, string, string[]]>([
    [{ text: 'Translate to French: good morning' }, 'simple', []],
    [{ text: 'Summarise this in one line: the build is green.' }, 'simple', []],
    [{ text: 'Was ist die Hauptstadt von Frankreich?' }, 'simple', []],
    [{ text: 'Who wrote it? And when?' }, 'standard', ['several questions']],
    [{ text: '東京の人口は？面積は？' }, 'standard', ['several questions']],
    [{ text: 'Extract the name.', hasSchema: true }, 'standard', ['a schema']],
    [{ text: 'What is the weather?', toolCount: 1 }, 'standard', ['a tool']],
    [{ text: 'Explain: const x = () => 1;' }, 'standard', ['code']],
    [{ text: 'word '.repeat(500) }, 'standard', ['long']],
    [{ text: 'Find the root cause of the outage.' }, 'standard', ['reasoning words']],
    [{ text: 'Prove it step by step:\n```\nx = 1\n```' }, 'complex', ['reasoning words', 'code']],
    [{ text: 'Book a flight, then a hotel.', toolCount: 3 }, 'complex', ['several tools', 'several steps', 'a tool']],
    [{ text: 'word '.repeat(5000), hasSchema: true }, 'complex', ['very long', 'long', 'a schema']],
  ])('%j', (task, tier, signs) => {
    expect(estimateTaskComplexity(task)).toMatchObject({ tier, signs });
  });

  it('finds instructions at either end of a long material', () => {
    const material = 'word '.repeat(2000);
    for (const text of [`Evaluate: ${material}`, `${material} Evaluate.`]) {
      expect(estimateTaskComplexity({ text }).signs).toContain('reasoning words');
    }
  });

  it.each(['\n', ' ', '\n\t', '\n2', '?', ';\t', '</a', '`', 'plan '])(
    'takes no longer for a hostile prompt: %j',
    (piece) => {
      const text = piece.repeat(2 ** 20 / piece.length);
      const startedAt = performance.now();
      for (let i = 0; i < 300; i++) estimateTaskComplexity({ text });
      // Quadratic, it takes more than 3 s; otherwise some hundredths.
      expect(performance.now() - startedAt).toBeLessThan(1500);
    },
  );

  it('finds steps in any line', () => {
    for (const text of ['2. b', '1) a\n\n  2) b', 'a\n\t2. b']) {
      expect(estimateTaskComplexity({ text }).signs).toEqual(['several steps']);
    }
  });

  it('never calls a task easier for having a schema or tools, and always gives the same answer', () => {
    fc.assert(
      fc.property(fc.string(), fc.boolean(), fc.nat(5), (text, hasSchema, toolCount) => {
        const plain = estimateTaskComplexity({ text });
        const harder = estimateTaskComplexity({ text, hasSchema, toolCount });
        expect(harder.score).toBeGreaterThanOrEqual(plain.score);
        expect(estimateTaskComplexity({ text })).toEqual(plain);
      }),
    );
  });
});
