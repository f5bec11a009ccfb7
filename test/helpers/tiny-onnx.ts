import { type ElementType, GraphBuilder } from '#src/providers/sentence-transformers/onnx/graph-builder.js';

const [vocabulary, hidden] = [30522, 16];

/**
 * An ONNX file as somebody else might have made it, for the folder of tiny-bert.ts: each token's vector is a row of a
 * table, and what becomes of them is up to `build`.
 *
 * @param build - Gets the name of the tokens' vectors; makes the graph's outputs.
 */
export function tinyOnnx(
  build: (graph: GraphBuilder, vectors: string) => void,
  inputType: ElementType = 'int64',
): Buffer {
  const graph = new GraphBuilder();
  const ids = graph.input('input_ids', inputType, ['batch', 'sequence']);
  graph.input('attention_mask', inputType, ['batch', 'sequence']);
  build(graph, graph.node('Gather', [tableOf(graph, 'words', 1), ids]));
  return Buffer.concat(graph.toModel(20));
}

/** `sin(row * 16 + column)`, times `scale`. */
export function tableOf(graph: GraphBuilder, name: string, scale: number): string {
  return graph.floats(
    name,
    [vocabulary, hidden],
    Float32Array.from({ length: vocabulary * hidden }, (_, i) => scale * Math.sin(i)),
  );
}

/** Names the values as an output of the graph. */
export function asOutput(graph: GraphBuilder, values: string, name: string, rank: 2 | 3 = 3): void {
  graph.node('Identity', [values], { output: name });
  graph.output(name, 'float32', rank === 2 ? ['batch', hidden] : ['batch', 'sequence', hidden]);
}
