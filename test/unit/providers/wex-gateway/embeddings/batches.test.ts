import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/cl100k_base';
import { describe, expect, it } from 'vitest';
import { planBatches } from '#src/providers/wex-gateway/embeddings/batches.js';
import { byteBound, loadOpenAiTokenizer, type Tokenizer } from '#src/providers/wex-gateway/embeddings/token-counter.js';

const openAi = 'azure-text-embedding-3-small';
const other = 'BAAI/bge-m3';
const limits = { batchSize: 100, maxRequestTokens: 300_000 };
const words = (count: number) => 'word '.repeat(count).trim();
const sizes = ({ batches }: { batches: readonly { inputs: readonly string[] }[] }) =>
  batches.map(({ inputs }) => inputs.length);

describe('planBatches', () => {
  it('fills batches up to the number of inputs', async () => {
    const texts = Array.from({ length: 250 }, (_, i) => `text ${i}`);
    expect(sizes(await planBatches(texts, openAi, limits, false))).toEqual([100, 100, 50]);
  });

  it('sends identical texts once and knows all their positions', async () => {
    const { batches, positions } = await planBatches(['a', 'b', 'a'], openAi, limits, false);
    expect(batches[0]?.inputs).toEqual(['a', 'b']);
    expect(positions.get('a')).toEqual([0, 2]);
  });

  it('keeps the tokens of a request within the limit, counted by the tokenizer', async () => {
    // 8,000 tokens and 40,000 bytes each: 37 fit by tokens, 7 would by bytes.
    const texts = Array.from({ length: 80 }, (_, i) => `${words(7990)} ${i}`);
    const plan = await planBatches(texts, openAi, limits, false);
    expect(sizes(plan)).toEqual([37, 37, 6]);
    for (const { tokenCount } of plan.batches) expect(tokenCount).toBeLessThanOrEqual(300_000);
  });

  it('keeps within the limit by the byte bound for other models', async () => {
    const texts = Array.from({ length: 4 }, (_, i) => `${'字'.repeat(40_000)}${i}`);
    expect(sizes(await planBatches(texts, other, limits, false))).toEqual([2, 2]);
  });

  it('gives a text of its own batch if it alone passes the limit', async () => {
    const texts = ['a', 'x'.repeat(1000), 'b'];
    expect(sizes(await planBatches(texts, other, { batchSize: 100, maxRequestTokens: 10 }, false))).toEqual([1, 1, 1]);
  });

  it.each([
    ['English', words(9000)],
    ['Chinese', '深度学习模型可以将文本转换为向量。'.repeat(600)],
  ])('refuses a text of more than 8192 tokens, naming its position: %s', async (_, long) => {
    const plan = planBatches(['fine', long], openAi, limits, false);
    await expect(plan).rejects.toMatchObject({ code: 'invalid_input', position: 1 });
  });

  it('takes a text whose bytes are more than 8192 but whose tokens are not', async () => {
    const long = words(8000);
    expect(sizes(await planBatches([long], openAi, limits, false))).toEqual([1]);
  });

  it('leaves the length of a text to the server where the model is not known', async () => {
    expect(sizes(await planBatches([words(20_000)], other, limits, false))).toEqual([1]);
  });

  it('counts bytes for other models if the row sets a limit', async () => {
    const withLimit = { ...limits, maxInputTokens: 512 };
    await expect(planBatches(['字'.repeat(200)], other, withLimit, false)).rejects.toMatchObject({ position: 0 });
    const { positions } = await planBatches(['字'.repeat(200)], other, withLimit, true);
    expect([...positions.keys()]).toEqual(['字'.repeat(170)]);
  });

  it('truncates if it is asked to, to no more than the limit and not inside a character', async () => {
    const tokenizer = await loadOpenAiTokenizer();
    for (const long of [words(9000), '👩‍🚀'.repeat(4000), `深度学习模型可以将文本转换为向量${'字'.repeat(9000)}`]) {
      const { positions } = await planBatches([long], openAi, limits, true);
      const [cut] = [...positions.keys()] as [string];
      expect(long.startsWith(cut)).toBe(true);
      const tokenCount = tokenizer?.count(cut) as number;
      expect(tokenCount).toBeLessThanOrEqual(8192);
      expect(tokenCount).toBeGreaterThan(8100);
    }
  });
});

describe('byteBound', () => {
  it.each([
    'Hello, world',
    '深度学习模型可以将文本转换为向量',
    '東京都は日本の首都です',
    '대한민국의 수도는 서울입니다',
    'नमस्ते दुनिया',
    '👩‍👩‍👧‍👦',
    '\u0000\u0001',
    'naïve café',
    '<|endoftext|>',
  ])('is never less than the tokens of %j', async (text) => {
    const tokenizer = await loadOpenAiTokenizer();
    expect(byteBound.count(text)).toBeGreaterThanOrEqual(tokenizer?.count(text) as number);
  });
});

describe('loadOpenAiTokenizer', () => {
  it('counts as the published encoding does', async () => {
    const tokenizer = await loadOpenAiTokenizer();
    // From OpenAI's tiktoken, cl100k_base.
    expect(tokenizer?.count('tiktoken is great!')).toBe(6);
    expect(tokenizer?.count('お誕生日おめでとう')).toBe(9);
    expect(tokenizer?.count('antidisestablishmentarianism')).toBe(6);
  });

  it('cuts long runs without changing what other texts count', async () => {
    const tokenizer = await loadOpenAiTokenizer();
    const sentence = 'Ordinary words, none of them longer than a line. ';
    for (const count of [100, 1000]) {
      expect(tokenizer?.count(sentence.repeat(count))).toBe(countTokens(sentence.repeat(count)));
    }
    expect(tokenizer?.count('字'.repeat(20_000))).toBe(20_000);
  });

  it('estimates what is beyond the number that was asked about', async () => {
    const tokenizer = await loadOpenAiTokenizer();
    const long = 'Ordinary words, none of them longer than a line. '.repeat(1000);
    const exact = tokenizer?.count(long) as number;
    expect(Math.abs((tokenizer?.count(long, 100) as number) / exact - 1)).toBeLessThan(0.05);
    expect(tokenizer?.count(long, exact)).toBe(exact);
  });

  it('cuts any text to a beginning of it that is well formed', async () => {
    const openAi = await loadOpenAiTokenizer();
    const piece = fc.constantFrom('a', ' ', '.', '字', '𠀀', '👩‍🚀', '😀', 'é', 'word ', '\n');
    const run = fc.tuple(piece, fc.integer({ min: 1, max: 700 })).map(([text, count]) => text.repeat(count));
    await fc.assert(
      fc.property(fc.array(run, { minLength: 1, maxLength: 4 }), fc.integer({ min: 6, max: 2000 }), (runs, limit) => {
        const text = runs.join('');
        for (const tokenizer of [byteBound, openAi as Tokenizer]) {
          const cut = tokenizer.truncate(text, limit);
          expect(text.startsWith(cut)).toBe(true);
          expect(isWellFormed(cut)).toBe(true);
          expect(cut).not.toBe('');
          expect(tokenizer.count(cut)).toBeLessThanOrEqual(limit);
        }
      }),
    );
  });
});

const isWellFormed = (text: string) => Buffer.from(text).toString() === text;
