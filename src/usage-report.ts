import { readUsageReport, type UsageReport, type UsageReportOptions } from './core/cost/usage-report.js';
import type { UsageReader } from './core/ports/usage-reader.js';
import { AiProviderError } from './errors.js';
import type { KyselyHandle } from './repositories/kysely/kysely-handle.js';
import { KyselyIntegrationRepository } from './repositories/kysely/kysely-integration-repository.js';

/**
 * What was used, paid and saved in a time, from the rows of `ai_usage_trackings`.
 *
 * @param source - A repository, or the host's Kysely handle.
 * @throws `InvalidInputError` for unusable options; `unsupported_operation` for a repository that cannot read usage;
 *   `repository_failed`.
 * @example
 * const report = await usageReport(repository, { tenantId: 7, from: new Date('2026-11-01'), by: ['provider', 'day'] });
 * console.log(report.total.cost, report.total.saved);
 */
export async function usageReport(
  source: Partial<UsageReader> | KyselyHandle,
  options: UsageReportOptions,
): Promise<UsageReport> {
  return readUsageReport(toReader(source), options);
}

function toReader(source: Partial<UsageReader> | KyselyHandle): UsageReader {
  if ('readUsage' in source && typeof source.readUsage === 'function') return source as UsageReader;
  if ('selectFrom' in source) return new KyselyIntegrationRepository(source);
  throw new AiProviderError(
    'This repository cannot read usage: it has no `readUsage`. Give a KyselyIntegrationRepository, a Kysely handle, or add the method.',
    { code: 'unsupported_operation' },
  );
}
