/** LangChain.js (`@langchain/core` 1): embeddings, a vector store and a chat model over a tenant's integrations. */
export { PulseChatModel, type PulseChatModelOptions } from './adapters/langchain/chat-model.js';
export { PulseEmbeddings, type PulseEmbeddingsOptions } from './adapters/langchain/embeddings.js';
export { PulseVectorStore, type PulseVectorStoreOptions } from './adapters/langchain/vector-store.js';
