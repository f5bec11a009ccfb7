/**
 * The number format that a model computes in. `fp32` agrees with Python's vectors; `int8` is 1.7 to 3 times as fast on a CPU with
 * vectors of cosine 0.998 to those; `fp16` halves the memory on a GPU. Vectors of two formats are never mixed: it is part of the
 * embedding space.
 */
export type Dtype = (typeof dtypes)[number];

export const dtypes = ['fp32', 'int8', 'fp16'] as const;

/** Under which names a format lies in a model's folder, in the order of preference. */
export const modelFileNames: Readonly<Record<Dtype, readonly string[]>> = {
  fp32: ['onnx/model.onnx', 'model.onnx'],
  int8: ['onnx/model_int8.onnx', 'onnx/model_quantized.onnx', 'onnx/model_qint8_avx512_vnni.onnx'],
  fp16: ['onnx/model_fp16.onnx'],
};
