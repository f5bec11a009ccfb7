/** IEEE 754 binary16 and binary32, https://standards.ieee.org/ieee/754/6210/. */

/** The bits of a binary16 number as the bits of a binary32 one. */
export function floatBitsOfHalf(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  const subnormal = new Uint32Array(Float32Array.of(fraction * 2 ** -24).buffer)[0]!;
  return (sign | subnormal) >>> 0;
}

/** The nearest binary16 number, ties to even; what is too large becomes the largest finite one. */
export function halfBitsOfFloats(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, (value) => {
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
    const size = Math.min(Math.abs(value), 65504);
    if (size < 2 ** -14) return sign | roundToEven(size * 2 ** 24);
    const exponent = Math.floor(Math.log2(size));
    // 1024 means that the fraction was rounded up to the next power of two, which the addition carries into the exponent.
    const fraction = roundToEven((size / 2 ** exponent - 1) * 1024);
    return sign | (((exponent + 15) << 10) + fraction);
  });
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
