import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeModelFolder } from '#src/providers/sentence-transformers/model/model-folder.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'model-folder-'));
  await write('config.json', { hidden_size: 384, max_position_embeddings: 512 });
  await write('tokenizer.json', {});
});
afterEach(() => rm(folder, { recursive: true }));

async function write(name: string, value: unknown): Promise<void> {
  await mkdir(dirname(join(folder, name)), { recursive: true });
  await writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));
}

const module = (type: string, path = '') => ({ path, type: `sentence_transformers.models.${type}` });

describe('describeModelFolder', () => {
  it('pools a plain model by mean, as sentence-transformers does, and does not normalise it', async () => {
    expect(await describeModelFolder(folder)).toEqual({
      dimension: 384,
      pooling: 'mean',
      poolsPrompt: true,
      isNormalized: false,
      maxTokens: 512,
      padTokenId: 0,
      prompts: null,
      tokenizerFile: join(folder, 'tokenizer.json'),
    });
  });

  it.each([
    ['pooling_mode_mean_tokens', 'mean'],
    ['pooling_mode_cls_token', 'cls'],
    ['pooling_mode_max_tokens', 'max'],
    ['pooling_mode_lasttoken', 'last_token'],
  ])('reads %s from the folder that modules.json names', async (key, pooling) => {
    await write('modules.json', [module('Transformer'), module('Pooling', 'Other'), module('Normalize')]);
    await write('Other/config.json', {
      word_embedding_dimension: 384,
      pooling_mode_mean_sqrt_len_tokens: false,
      [key]: true,
    });
    expect(await describeModelFolder(folder)).toMatchObject({ pooling, isNormalized: true });
  });

  it.each([
    ['mean', 'mean'],
    ['cls', 'cls'],
    ['max', 'max'],
    ['lasttoken', 'last_token'],
    [['mean'], 'mean'],
  ])('reads the newer pooling_mode %s', async (mode, pooling) => {
    await write('1_Pooling/config.json', { embedding_dimension: 384, pooling_mode: mode, include_prompt: false });
    expect(await describeModelFolder(folder)).toMatchObject({ pooling, poolsPrompt: false });
  });

  it('takes model_max_length of the tokenizer where no max_seq_length is given', async () => {
    await write('tokenizer_config.json', { model_max_length: 300 });
    expect(await describeModelFolder(folder)).toMatchObject({ maxTokens: 300 });
    await write('tokenizer_config.json', { model_max_length: 1e30 });
    expect(await describeModelFolder(folder)).toMatchObject({ maxTokens: 512 });
    await write('sentence_bert_config.json', { max_seq_length: 200 });
    expect(await describeModelFolder(folder)).toMatchObject({ maxTokens: 200 });
  });

  it('takes the smaller of max_seq_length and what the positions allow', async () => {
    await write('sentence_bert_config.json', { max_seq_length: 256 });
    expect(await describeModelFolder(folder)).toMatchObject({ maxTokens: 256 });
    await write('config.json', {
      hidden_size: 768,
      max_position_embeddings: 130,
      model_type: 'roberta',
      pad_token_id: 1,
    });
    expect(await describeModelFolder(folder)).toMatchObject({ maxTokens: 128, padTokenId: 1 });
  });

  it.each([
    [{ prompts: { query: 'query: ', passage: 'passage: ' } }, { query: 'query: ', document: 'passage: ' }],
    [{ prompts: { query: 'q: ', document: 'd: ' } }, { query: 'q: ', document: 'd: ' }],
    [{ prompts: { query: 'Represent: ' } }, { query: 'Represent: ', document: '' }],
    [
      { prompts: { all: 'x: ' }, default_prompt_name: 'all' },
      { query: 'x: ', document: 'x: ' },
    ],
    [{ prompts: { query: '', document: '' } }, null],
    [{ prompts: {}, default_prompt_name: null }, null],
    [{ prompts: null, default_prompt_name: 'constructor' }, null],
  ])('prompts %j', async (config, prompts) => {
    await write('config_sentence_transformers.json', config);
    expect(await describeModelFolder(folder)).toMatchObject({ prompts });
  });

  it.each([
    ['config.json', '{', /config\.json is not JSON/],
    ['config.json', {}, /no hidden_size/],
    ['modules.json', [module('Transformer'), module('Dense', '2_Dense')], /a module Dense/],
    ['config.json', [], /config\.json is not an object/],
    ['config.json', 'null', /config\.json is not an object/],
    ['config.json', { hidden_size: 0.5 }, /config\.json has the hidden_size 0\.5/],
    ['modules.json', { idx: 0 }, /modules\.json is not a list/],
    ['modules.json', [null], /modules\.json has a module undefined/],
    ['modules.json', [module('Transformer')], /modules\.json has no module Pooling/],
    ['modules.json', [module('Transformer', '0_Transformer')], /modules\.json has its Transformer in the folder 0_T/],
    ['modules.json', [module('Pooling', '../other')], /\.\.\/other" leads out/],
    ['modules.json', [module('Transformer'), module('Pooling', '2_Own')], /2_Own\/config\.json is missing/],
    ['1_Pooling/config.json', { pooling_mode_mean_sqrt_len_tokens: true }, /1_Pooling.*mean_sqrt_len_tokens/],
    ['1_Pooling/config.json', { pooling_mode_mean_tokens: true, pooling_mode_max_tokens: true }, /1_Pooling.* with /],
    ['1_Pooling/config.json', { pooling_mode: 'constructor' }, /1_Pooling.*the pooling constructor/],
    ['1_Pooling/config.json', { pooling_mode: ['mean', 'cls'] }, /1_Pooling.*the pooling mean with cls/],
    ['1_Pooling/config.json', {}, /1_Pooling.*the pooling of no kind/],
    ['sentence_bert_config.json', { do_lower_case: true }, /sentence_bert_config\.json has do_lower_case/],
  ])('%s with %j is an error that names it', async (name, value, message) => {
    await write(name, value);
    await expect(describeModelFolder(folder)).rejects.toThrow(message);
  });

  it.each([
    { type: 'BertNormalizer', lowercase: true },
    { type: 'Sequence', normalizers: [{ type: 'NFD' }, { type: 'Lowercase' }] },
  ])('do_lower_case asks for nothing more than the tokenizer %j does', async (normalizer) => {
    await write('sentence_bert_config.json', { do_lower_case: true });
    await write('tokenizer.json', { normalizer });
    expect(await describeModelFolder(folder)).toMatchObject({ dimension: 384 });
    await write('tokenizer.json', { normalizer: { type: 'BertNormalizer', lowercase: false } });
    await expect(describeModelFolder(folder)).rejects.toThrow(/do_lower_case/);
  });

  it.each(['config.json', 'tokenizer.json'])('a missing %s is named', async (name) => {
    await rm(join(folder, name));
    await expect(describeModelFolder(folder)).rejects.toThrow(`${name} is missing`);
  });
});
