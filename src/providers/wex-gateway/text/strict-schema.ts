import { isRecord } from '../../../internal/validate.js';

/** Keywords that strict mode takes (OpenAI's guide to structured outputs, "Supported schemas"). */
const keywords: ReadonlySet<string> = new Set([
  'type',
  'properties',
  'required',
  'additionalProperties',
  'items',
  'enum',
  'const',
  'anyOf',
  'description',
  'title',
  '$ref',
  '$defs',
  'definitions',
  'pattern',
  'format',
  'multipleOf',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'minItems',
  'maxItems',
]);

/** Whether strict mode takes a JSON Schema: every object is closed and all of its properties are required. */
export function isStrictSchema(schema: unknown): boolean {
  return isRecord(schema) && schema.type === 'object' && schema.anyOf === undefined && isStrict(schema);
}

function isStrict(schema: unknown): boolean {
  if (!isRecord(schema) || !Object.keys(schema).every((key) => keywords.has(key))) return false;
  const { type, properties, required = [], additionalProperties, items, anyOf, $defs, definitions } = schema;
  if (type === 'object' || properties !== undefined) {
    if (additionalProperties !== false || !isRecord(properties) || !Array.isArray(required)) return false;
    if (!Object.keys(properties).every((name) => required.includes(name))) return false;
  }
  const inner = [properties, $defs, definitions].flatMap((group) => (isRecord(group) ? Object.values(group) : []));
  const others = [...(items === undefined ? [] : [items]), ...(Array.isArray(anyOf) ? anyOf : [])];
  return [...inner, ...others].every(isStrict);
}
