/**
 * The number format that a model computes in. `fp32` agrees with Python's vectors; `int8` is 1.7 to 3 times as fast on a CPU with
 * vectors of cosine 0.9966 to those on average (0.985 at least on every kind of text tried); `fp16` halves the memory on a GPU. Vectors of two formats are never mixed: it is part of the
 * embedding space.
 */
export type Dtype = (typeof dtypes)[number];

export const dtypes = ['fp32', 'int8', 'fp16'] as const;
