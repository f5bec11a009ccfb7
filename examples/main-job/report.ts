import type { PulseQdrantClient, SimilarRecord, VectorIndex } from '@pulse/ai-providers';
import { type Kysely, sql } from 'kysely';
import type { Database } from '../shared/database.js';
import { tenants } from './tenants.js';

export function title(text: string): void {
  console.log(`\n${text}\n${'─'.repeat(text.length)}`);
}

export function printHits(tenantName: string, query: string, hits: readonly SimilarRecord[]): void {
  console.log(`\n${tenantName} asks: ${query}`);
  if (hits.length === 0) console.log('   nothing that is similar enough');
  for (const { score, metadata } of hits) {
    console.log(`   ${score.toFixed(3)}  ${metadata.source}: ${shorten(String(metadata.text), 90)}`);
  }
}

/** Asks each tenant's questions as the other tenant, and tries to reach over with a filter. */
export async function printIsolation(index: VectorIndex, store: PulseQdrantClient, tableName: string): Promise<void> {
  const [a, b] = tenants;
  for (const [asker, owner] of [
    [a, b],
    [b, a],
  ] as const) {
    const ownPackages = new Set<string>(asker.packages.map((name) => `${name}/README.md`));
    const search = { tenantId: asker.tenantId, tableName, limit: 50 };
    const hits = (await Promise.all(owner.queries.map((query) => index.search(query, search)))).flat();
    const foreign = hits.filter((hit) => !ownPackages.has(String(hit.metadata.source)));
    const reaching = await index.search(owner.queries[0], {
      ...search,
      filter: { must: [{ key: 'client_id', match: { value: owner.tenantId } }] },
    });
    console.log(
      `${asker.name} asked ${owner.name}'s questions: ${hits.length} hits, of them ${foreign.length} of the other tenant's;`,
    );
    console.log(`   with a filter for the other tenant's client_id: ${reaching.length} hits.`);
    if (foreign.length > 0 || reaching.length > 0) throw new Error('A tenant saw records of another one.');
  }
  for (const { tenantId, name } of tenants) {
    const description = await store.describeCollection(tenantId, tableName);
    console.log(`${name}: ${description?.pointCount} points in the space ${description?.embeddingSpace}`);
  }
}

export async function printUsage(db: Kysely<Database>, since: Date): Promise<void> {
  const rows = await db
    .selectFrom('ai_usage_trackings')
    .select(({ fn }) => [
      'tenant_id',
      'provider',
      'operation',
      'model_name',
      fn.countAll<string>().as('requests'),
      fn.sum<string>('input_count').as('inputs'),
      fn.sum<string>('total_tokens').as('tokens'),
      sql<string | null>`sum((request_metadata->>'cost_usd')::numeric)`.as('cost_usd'),
    ])
    .where('created_at', '>=', since)
    .where(
      'tenant_id',
      'in',
      tenants.map(({ tenantId }) => tenantId),
    )
    .groupBy(['tenant_id', 'provider', 'operation', 'model_name'])
    .orderBy('tenant_id')
    .execute();
  const lines = [
    ['tenant', 'provider', 'operation', 'model', 'requests', 'texts', 'tokens', 'cost in USD'],
    ...rows.map((row) => Object.values(row).map((value) => String(value ?? 'unknown'))),
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  for (const line of lines)
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
}

function shorten(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
