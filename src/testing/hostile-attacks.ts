import type { Attack } from './isolation-cases.js';

/** What the suite needs of fast-check (https://fast-check.dev): its default export satisfies it. */
// biome-ignore lint/suspicious/noExplicitAny: structural counterpart of an optional package
export type FastCheckApi = Record<string, any>;

export interface AttackSurface {
  readonly tenantIds: readonly number[];
  readonly tableName: string;
  readonly recordIds: readonly (string | number)[];
  /** The point ids of all tenants' records. */
  readonly pointIds: readonly string[];
}

/** An arbitrary of attacks: filters, metadata, names and ids that a tenant would write to reach others' points. */
// biome-ignore lint/suspicious/noExplicitAny: an arbitrary of fast-check
export function hostileAttacks(fc: FastCheckApi, surface: AttackSurface): any {
  return fc.record({
    tenantId: fc.oneof(
      { weight: 20, arbitrary: fc.constantFrom(...surface.tenantIds) },
      { weight: 1, arbitrary: hostileTenantIds(fc, surface) },
    ),
    tableName: fc.oneof(
      { weight: 20, arbitrary: fc.constant(surface.tableName) },
      { weight: 1, arbitrary: hostileTableNames(fc, surface) },
    ),
    filter: hostileFilters(fc, surface),
    metadata: hostileMetadata(fc, surface),
    recordIds: fc.uniqueArray(hostileRecordIds(fc, surface), { maxLength: 6 }),
    field: fc.constantFrom(
      'secret',
      'client_id',
      'table_name',
      'record_id',
      'tags',
      'client_id[]',
      '"client_id"',
      '',
      'a.b',
    ),
  } satisfies Record<keyof Attack, unknown>);
}

function hostileTenantIds(fc: FastCheckApi, { tenantIds }: AttackSurface): unknown {
  return fc.constantFrom(
    ...tenantIds.map(String),
    [...tenantIds],
    tenantIds.slice(0, 1),
    { valueOf: () => tenantIds[0] },
    { toString: () => `${tenantIds[0]}` },
    -tenantIds[0]!,
    0,
    0.5,
    Number.NaN,
    2 ** 53,
    null,
    undefined,
    true,
    '*',
    `${tenantIds[0]} OR 1=1`,
  );
}

function hostileTableNames(fc: FastCheckApi, { tenantIds, tableName }: AttackSurface): unknown {
  return fc.oneof(
    fc.constantFrom(
      '',
      '.',
      '..',
      `../client_${tenantIds[0]}_${tableName}`,
      `${tableName}/points`,
      `${tableName}@2`,
      `${tableName}@live`,
      `client_${tenantIds[0]}_${tableName}`,
      `${tenantIds[0]}_${tableName}`,
      `_${tableName}`,
      tableName.toUpperCase(),
      `${tableName}\n`,
      `${tableName}\u0000`,
      [tableName],
      '__proto__',
      'x'.repeat(255),
      null,
      undefined,
    ),
    fc.string({ maxLength: 12 }),
    fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/),
  );
}

function hostileRecordIds(fc: FastCheckApi, { recordIds, pointIds }: AttackSurface): unknown {
  return fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...recordIds) },
    fc.constantFrom(...recordIds.map(String), ...pointIds, '', '*', '__proto__', -0, 0.5, 2 ** 53, null),
    fc.string({ minLength: 1, maxLength: 4 }),
    fc.integer(),
  );
}

/** Filters that ask for other tenants in every form, deeply nested, and things that are no filters. */
function hostileFilters(fc: FastCheckApi, { tenantIds, recordIds, pointIds }: AttackSurface): unknown {
  const values = fc.constantFrom(...tenantIds, ...tenantIds.map(String), ...recordIds);
  const keys = fc.constantFrom(
    'client_id',
    'client_id',
    'client_id',
    'table_name',
    'record_id',
    'secret',
    'absent',
    'client_id[]',
    'tags[]',
  );
  const { filter } = fc.letrec((tie: (name: string) => unknown) => ({
    condition: fc.oneof(
      { depthSize: 'small' },
      fc.record({
        key: keys,
        match: fc.oneof(fc.record({ value: values }), fc.record({ any: fc.constant([...tenantIds]) })),
      }),
      fc.record({ key: keys, match: fc.record({ except: fc.constant([...tenantIds.slice(0, 1)]) }) }),
      fc.record({ key: keys, range: fc.constant({ gte: -1e9, lte: 1e18 }) }),
      fc.record({ is_empty: fc.record({ key: keys }) }),
      fc.record({ is_null: fc.record({ key: keys }) }),
      fc.record({ has_id: fc.constant([...pointIds]) }),
      fc.record({ nested: fc.record({ key: keys, filter: tie('filter') }) }),
      tie('filter'),
      tie('malformed'),
    ),
    conditions: fc.oneof(tie('condition'), fc.array(tie('condition'), { maxLength: 3 })),
    filter: fc.record(
      {
        must: tie('conditions'),
        should: tie('conditions'),
        must_not: tie('conditions'),
        min_should: fc.record({
          conditions: fc.array(tie('condition'), { maxLength: 3 }),
          min_count: fc.nat({ max: 2 }),
        }),
      },
      { requiredKeys: [] },
    ),
    malformed: fc.constantFrom(
      {},
      null,
      [],
      { key: 'client_id', match: {} },
      { key: 'client_id', match: { value: [...tenantIds] } },
      { key: 'client_id', match: { value: undefined } },
      { lookup_from: { collection: `client_${tenantIds[0]}_docs` } },
      { collection_name: `client_${tenantIds[0]}_docs` },
      { filter: {} },
      { toJSON: () => ({}) },
      JSON.parse('{"__proto__": {"should": []}}'),
    ),
  }));
  return filter;
}

/** Metadata that tries to set whose point it is. */
function hostileMetadata(fc: FastCheckApi, { tenantIds }: AttackSurface): unknown {
  const owner = fc.constantFrom(...tenantIds, ...tenantIds.map(String), [...tenantIds], null);
  return fc.oneof(
    fc.dictionary(fc.constantFrom('secret', 'tags', 'client_id ', 'Client_id', 'client_id[]', 'a.b'), fc.jsonValue(), {
      maxKeys: 3,
    }),
    fc.record({ client_id: owner }),
    fc.record({ table_name: fc.string() }),
    fc.record({ record_id: owner }),
    fc.record({ payload: fc.record({ client_id: owner }) }),
    owner.map((client_id: unknown) => ({ toJSON: () => ({ client_id }) })),
    owner.map((client_id: unknown) =>
      Object.defineProperty({}, 'client_id', { enumerable: true, get: () => client_id }),
    ),
    owner.map((client_id: unknown) => Object.create({ client_id })),
    owner.map((client_id: unknown) => JSON.parse(`{"__proto__": {"client_id": ${JSON.stringify(client_id)}}}`)),
    fc.constantFrom(null, [], new Map(), new Date(0), { at: new Date(0) }, { n: Number.NaN }),
  );
}
