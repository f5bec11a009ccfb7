// What a host reads whose deployment lost a package that the library depends on.
import { WexGatewayProvider } from '@pulse/ai-providers';

const provider = new WexGatewayProvider({ baseUrl: 'http://127.0.0.1:9/v1', apiKey: 'key' });
try {
  await provider.generateEmbeddings(['a text']);
} catch ({ code, packageName, isRetryable, cause }) {
  console.log(JSON.stringify({ code, packageName, isRetryable, hasCause: cause !== undefined }));
}
await provider.close();
