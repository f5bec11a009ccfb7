import { describe, expect, it } from 'vitest';
import {
  checkCollectionOptions,
  collectionRequest,
  type QdrantCollectionOptions,
} from '#src/vector-stores/qdrant/collections/options.js';

const requestOf = (options: QdrantCollectionOptions, mode: 'collection' | 'shared' = 'collection') => {
  const scope = { tenantId: 7, tableName: 'docs', mode, collection: 'any' };
  const { metadata: _, ...request } = collectionRequest(scope, checkCollectionOptions(options));
  return request;
};
const hnsw = { m: 16, ef_construct: 100, full_scan_threshold: 10_000 };
const scalar = { scalar: { type: 'int8', quantile: 0.99, always_ram: true } };

describe('collectionRequest', () => {
  it('is as the platform has it, and leaves the rest to the server', () => {
    expect(requestOf({})).toEqual({ vectors: { size: 1536, distance: 'Cosine' }, hnsw_config: hnsw });
  });

  it('builds a graph for each tenant if tenants share', () => {
    expect(requestOf({ vectorSize: 3 }, 'shared')).toEqual({
      vectors: { size: 3, distance: 'Cosine' },
      hnsw_config: { ...hnsw, m: 0, payload_m: 16 },
    });
  });

  it('has presets by expected size', () => {
    expect(requestOf({ preset: 'small' })).toMatchObject({
      optimizers_config: { default_segment_number: 1 },
      wal_config: { wal_capacity_mb: 1, wal_segments_ahead: 0 },
    });
    expect(requestOf({ preset: 'large' })).toEqual({
      vectors: { size: 1536, distance: 'Cosine', on_disk: true },
      hnsw_config: hnsw,
      quantization_config: scalar,
      on_disk_payload: true,
      shard_number: 2,
    });
    expect(requestOf({ preset: 'distributed' })).toMatchObject({
      shard_number: 12,
      replication_factor: 2,
      write_consistency_factor: 2,
    });
  });

  it('lets single options go before the preset', () => {
    const request = requestOf({ preset: 'large', quantization: 'binary', shardNumber: 4, onDiskPayload: false });
    expect(request).toMatchObject({
      quantization_config: { binary: { always_ram: true } },
      shard_number: 4,
      on_disk_payload: false,
    });
    expect(requestOf({ preset: 'large', quantization: 'none' })).not.toHaveProperty('quantization_config');
  });

  it.each<[string, object]>([
    ['vectorSize', { vectorSize: 0 }],
    ['preset', { preset: 'huge' }],
    ['mode', { mode: 'both' }],
    ['quantization', { quantization: 'product' }],
    ['shardNumber', { shardNumber: 1.5 }],
    ['onDiskVectors', { onDiskVectors: 'yes' }],
    ['hasSparseVectors', { hasSparseVectors: 1 }],
    ['embeddingSpace', { embeddingSpace: '' }],
    ['payloadIndexes', { payloadIndexes: ['colour'] }],
    ['payloadIndexes.colour', { payloadIndexes: { colour: 'text[]' } }],
    ['client_id', { payloadIndexes: { client_id: 'keyword' } }],
  ])('refuses a wrong %s', (name, options) => {
    expect(() => checkCollectionOptions(options)).toThrowError(expect.objectContaining({ code: 'invalid_input' }));
    expect(() => checkCollectionOptions(options)).toThrowError(name);
  });
});
