import { halfBitsOfFloats } from './half-float.js';
import { bytesField, type Chunks, floatField, integerField, messageField, stringField } from './protobuf.js';

/** `TensorProto.DataType` of onnx.proto. */
export const elementType = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, float16: 10 } as const;
export type ElementType = keyof typeof elementType;

export type Attribute = number | { readonly float: number } | readonly number[];

/** A dimension: a size, or the name of one that is only known at run time. */
export type Dimension = number | string;

/** Collects the nodes and tensors of an ONNX graph and writes them as a model file. Field numbers are those of onnx.proto. */
export class GraphBuilder {
  /** What the graph computes in. */
  readonly floatType: 'float32' | 'float16';
  readonly #nodes: Chunks[] = [];
  readonly #initializers: Chunks[] = [];
  readonly #inputs: Chunks[] = [];
  readonly #outputs: Chunks[] = [];
  #count = 0;

  constructor(floatType: 'float32' | 'float16' = 'float32') {
    this.floatType = floatType;
  }

  input(name: string, type: ElementType, dimensions: readonly Dimension[]): string {
    this.#inputs.push(messageField(11, valueInfo(name, type, dimensions)));
    return name;
  }

  output(name: string, type: ElementType, dimensions: readonly Dimension[]): void {
    this.#outputs.push(messageField(12, valueInfo(name, type, dimensions)));
  }

  /** Adds a constant tensor and returns its name. */
  tensor(name: string, type: ElementType, dimensions: readonly number[], data: ArrayBufferView): string {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    this.#initializers.push(
      messageField(
        5,
        dimensions.flatMap((dimension) => integerField(1, dimension)),
        integerField(2, elementType[type]),
        stringField(8, name),
        bytesField(9, bytes),
      ),
    );
    return name;
  }

  /** Adds a constant of the type that the graph computes in. */
  floats(name: string, dimensions: readonly number[], values: Float32Array): string {
    return this.tensor(
      name,
      this.floatType,
      dimensions,
      this.floatType === 'float32' ? values : halfBitsOfFloats(values),
    );
  }

  int64(name: string, values: readonly number[]): string {
    return this.tensor(name, 'int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  scalar(name: string, value: number): string {
    return this.floats(name, [], Float32Array.of(value));
  }

  /** Adds a node with one output and returns the output's name, which is made up unless given. */
  node(
    operator: string,
    inputs: readonly string[],
    options: {
      readonly attributes?: Readonly<Record<string, Attribute>>;
      readonly output?: string;
      readonly domain?: string;
    } = {},
  ): string {
    const output = options.output ?? `${operator}_${this.#count++}`;
    this.#nodes.push(
      messageField(
        1,
        inputs.flatMap((input) => stringField(1, input)),
        stringField(2, output),
        stringField(3, output),
        stringField(4, operator),
        Object.entries(options.attributes ?? {}).flatMap(([name, value]) => attribute(name, value)),
        options.domain === undefined ? [] : stringField(7, options.domain),
      ),
    );
    return output;
  }

  /** The whole model file. @param opset - Of the standard operators. */
  toModel(opset: number): Chunks {
    const graph = [this.#nodes, [stringField(2, 'encoder')], this.#initializers, this.#inputs, this.#outputs].flat(2);
    return [
      integerField(1, 9),
      stringField(2, '@pulse/ai-providers'),
      messageField(7, graph),
      messageField(8, stringField(1, ''), integerField(2, opset)),
      messageField(8, stringField(1, 'com.microsoft'), integerField(2, 1)),
    ].flat();
  }
}

function attribute(name: string, value: Attribute): Chunks {
  if (typeof value === 'number')
    return messageField(5, stringField(1, name), integerField(3, value), integerField(20, 2));
  if ('float' in value) return messageField(5, stringField(1, name), floatField(2, value.float), integerField(20, 1));
  const integers = value.flatMap((item) => integerField(8, item));
  return messageField(5, stringField(1, name), integers, integerField(20, 7));
}

function valueInfo(name: string, type: ElementType, dimensions: readonly Dimension[]): Chunks {
  const shape = dimensions.flatMap((dimension) =>
    messageField(1, typeof dimension === 'number' ? integerField(1, dimension) : stringField(2, dimension)),
  );
  const tensorType = messageField(1, integerField(1, elementType[type]), messageField(2, shape));
  return [stringField(1, name), messageField(2, tensorType)].flat();
}
