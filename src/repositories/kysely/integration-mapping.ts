import { InvalidInputError } from '../../errors.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { describeValue, isRecord } from '../../internal/validate.js';

/** The fields of an integration that a platform may keep elsewhere. */
export type MappedField =
  | 'provider'
  | 'baseUrl'
  | 'password'
  | 'aiModel'
  | 'aiModelConfig'
  | 'costConfig'
  | 'fallbackIntegrationId';

/** How the rows of a platform differ from the ones in docs/operations.md. */
export interface IntegrationMapping {
  /**
   * The values of the column `type` that mark an AI integration; the first is that of rows that are made.
   * @default ['ai_provider']
   */
  readonly types?: readonly string[] | undefined;
  /**
   * Names of the column `provider` that mean one of the kinds, such as `{ 'WEX AI Gateway': 'wex_ai_gateway' }`.
   * @default none: the column holds the kinds' names
   */
  readonly providerNames?: Readonly<Record<string, string>> | undefined;
  /**
   * The place of a field: another column, a key in a JSONB column such as `settings.model_path`, or null for a field
   * that the table does not have.
   * @default the columns of docs/operations.md
   */
  readonly columns?: Readonly<Partial<Record<MappedField, string | null>>> | undefined;
}

/** A column, with the path to a value inside it, if it is a JSONB column. */
export interface Place {
  readonly column: string;
  readonly path: readonly string[];
}

export interface ResolvedMapping {
  readonly types: readonly string[];
  /** The kind's name for a value of the column. */
  kindOf(provider: string): string;
  /** The values of the column that mean a kind, its own name last. */
  namesOf(kind: string): readonly string[];
  readonly places: Readonly<Record<MappedField, Place | null>>;
}

const defaultColumns: Readonly<Record<MappedField, string>> = {
  provider: 'provider',
  baseUrl: 'base_url',
  password: 'password',
  aiModel: 'ai_model',
  aiModelConfig: 'ai_model_config',
  costConfig: 'cost_config',
  fallbackIntegrationId: 'fallback_integration_id',
};

const fieldKeys = Object.fromEntries(Object.keys(defaultColumns).map((field) => [field, true])) as Record<
  MappedField,
  true
>;

const defaultTypes = ['ai_provider'];

/** @throws {@link InvalidInputError} for a mapping that cannot be used. */
export function resolveMapping(mapping: IntegrationMapping = {}): ResolvedMapping {
  requireKnownKeys<IntegrationMapping>(mapping, { types: true, providerNames: true, columns: true });
  const { types = defaultTypes, providerNames = {}, columns = {} } = mapping;
  if (!Array.isArray(types) || types.length === 0 || types.some((type) => typeof type !== 'string' || type === '')) {
    throw new InvalidInputError(`Expected \`types\` to be a list of strings, got ${describeValue(types)}.`);
  }
  if (!isRecord(providerNames) || Object.values(providerNames).some((name) => typeof name !== 'string')) {
    throw new InvalidInputError('Expected `providerNames` to be an object from names of the column to names of kinds.');
  }
  requireKnownKeys<Record<MappedField, unknown>>(columns, fieldKeys, 'columns');
  const names = new Map(Object.entries(providerNames));
  return {
    types,
    kindOf: (provider) => names.get(provider) ?? provider,
    namesOf: (kind) => [...[...names].filter(([, to]) => to === kind).map(([from]) => from), kind],
    places: Object.fromEntries(
      Object.entries(defaultColumns).map(([field, column]) => {
        const place = columns[field as MappedField];
        return [field, place === null ? null : toPlace(place ?? column, field)];
      }),
    ) as Record<MappedField, Place | null>,
  };
}

function toPlace(place: unknown, field: string): Place {
  const [column = '', ...path] = typeof place === 'string' ? place.split('.') : [];
  if (column !== '' && path.every((key) => key !== '')) return { column, path };
  throw new InvalidInputError(
    `Expected \`columns.${field}\` to be a column such as 'ai_model', a path such as 'settings.model', or null, got ${describeValue(place)}.`,
  );
}
