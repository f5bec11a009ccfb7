export type { CopyOptions } from './vector-stores/qdrant/admin/copy-points.js';
export {
  type CopiedTable,
  type CopyVectorStoreOptions,
  copyVectorStore,
} from './vector-stores/qdrant/admin/copy-vector-store.js';
export type { RebuildOptions } from './vector-stores/qdrant/admin/inherited-options.js';
export { QdrantAdmin } from './vector-stores/qdrant/admin/qdrant-admin.js';
export type { CollectionRebuild, CommitOptions } from './vector-stores/qdrant/admin/rebuild.js';
