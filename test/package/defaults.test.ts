import ts from 'typescript';
import { expect, it } from 'vitest';
import { resolveOptions as resolveLocalModel } from '#src/providers/sentence-transformers/options.js';
import { resolveWexGatewayOptions } from '#src/providers/wex-gateway/options.js';
import { checkSearch } from '#src/vector-stores/qdrant/search/search-options.js';
import { resolveOptions as resolveQdrantClient } from '#src/vector-stores/qdrant/wire/client-options.js';
import { readSourceFiles, visit } from '../helpers/source-file.js';

/** What the code makes of options that the caller left out, by the interface that documents them. */
const resolved: Readonly<Record<string, object>> = {
  WexGatewaySettings: resolveWexGatewayOptions({ baseUrl: 'http://localhost/v1', apiKey: null }),
  WexGatewayOptions: resolveWexGatewayOptions({ baseUrl: 'http://localhost/v1', apiKey: null }),
  LocalModelOptions: resolveLocalModel({}),
  SentenceTransformersOptions: resolveLocalModel({}),
  PulseQdrantClientOptions: resolveQdrantClient({}),
  SearchOptions: checkSearch(new Float32Array([1]), {}),
  VectorSearchOptions: checkSearch(new Float32Array([1]), {}),
};

interface DocumentedDefault {
  readonly owner: string;
  readonly member: string;
  readonly value: unknown;
}

/** A literal such as `120_000`, `'auto'` or `false`, alone or before a comma or a bracket; undefined for prose. */
function literalOf(text: string): unknown {
  const literal = /^(?:'([^']*)'|(-?[\d_]+(?:\.\d+)?)|(true|false))(?=$|[\s,;.])/.exec(text);
  if (literal === null) return undefined;
  const [, string, number, boolean] = literal;
  if (string !== undefined) return string;
  return number === undefined ? boolean === 'true' : Number(number.replaceAll('_', ''));
}

function documentedDefaults(): DocumentedDefault[] {
  const defaults: DocumentedDefault[] = [];
  for (const { ast } of readSourceFiles()) {
    visit(ast, (node) => {
      if (!ts.isPropertySignature(node) || !ts.isInterfaceDeclaration(node.parent)) return;
      for (const tag of ts.getJSDocTags(node)) {
        if (tag.tagName.text !== 'default') continue;
        const value = literalOf(ts.getTextOfJSDocComment(tag.comment) ?? '');
        if (value !== undefined) defaults.push({ owner: node.parent.name.text, member: node.name.getText(), value });
      }
    });
  }
  return defaults;
}

const checkable = documentedDefaults().filter(({ owner, member }) => member in (resolved[owner] ?? {}));

it.each(checkable)('$owner.$member is $value unless the caller says otherwise', ({ owner, member, value }) => {
  expect(resolved[owner]).toHaveProperty(member, value);
});

it('reads the docstrings at all', () => {
  expect(checkable.length).toBeGreaterThan(15);
});
