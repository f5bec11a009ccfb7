require('@pulse/ai-providers');
require('@pulse/ai-providers/testing');

globalThis.require = require;
globalThis.printLoads();
