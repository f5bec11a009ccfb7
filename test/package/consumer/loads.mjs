import '@pulse/ai-providers';
import '@pulse/ai-providers/testing';

await globalThis.printLoads();
