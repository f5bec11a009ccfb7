import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { readSourceFiles, repositoryRoot, resolveRelative, type SourceFile, visit } from '../helpers/source-file.js';

const files = readSourceFiles();
const manifest = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
};

const adapterFamilies = [
  'providers',
  'vector-stores',
  'repositories',
  'credential-ciphers',
  'price-sources',
  'adapters',
];

/**
 * `errors`, `internal`, `core`, `testing`, an adapter such as `providers/wex-gateway`, or `root` for what puts them
 * together.
 */
function layerOf(path: string): string {
  const [first = '', second = ''] = path.split('/');
  if (path === 'errors.ts') return 'errors';
  if (adapterFamilies.includes(first)) return `${first}/${second}`;
  return path.includes('/') && !isCommand(path) ? first : 'root';
}

/** A program of the package's `bin`, which prints and reads the environment as programs do. */
function isCommand(path: string): boolean {
  return path.startsWith('commands/');
}

/** The layers that a layer may import besides itself. */
const allowedLayers: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  internal: ['errors'],
  core: ['errors', 'internal'],
  testing: ['errors', 'core'],
};
const adapterMayImport = ['errors', 'internal', 'core'];

/**
 * Both vector stores speak the client type in `qdrant-api.ts`; the Qdrant store loads the local engine when it is
 * needed.
 */
const exceptions: readonly { readonly from: string; readonly to: string; readonly dynamic?: true }[] = [
  { from: 'vector-stores/local', to: 'vector-stores/qdrant-api.ts' },
  { from: 'vector-stores/qdrant', to: 'vector-stores/qdrant-api.ts' },
  { from: 'vector-stores/qdrant', to: 'vector-stores/local', dynamic: true },
];

/** Data: the corpus of servers is in test/, for whoever adds to it. */
const isServerCases = (path: string) => /^\.\.\/test\/servers\/[\w-]+\.json$/.test(path);

/** Small packages that are part of the root import; everything else is loaded on first use. */
const eagerPackages = ['big.js', 'p-limit', 'p-retry'];

/** An adapter of a framework extends its classes, so it imports them statically: only who imports its door loads it. */
const extendedByAdapter: Readonly<Record<string, string>> = { 'adapters/langchain': '@langchain/core' };

const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
const isBuiltin = (specifier: string) => specifier.startsWith('node:') || builtinModules.includes(specifier);

const packageImports = files.flatMap(({ path, imports }) =>
  imports
    .filter(({ specifier }) => !specifier.startsWith('.') && !isBuiltin(specifier))
    .map((entry) => ({ path, ...entry })),
);

function violations(check: (file: SourceFile, report: (what: string) => void) => void): string[] {
  const found: string[] = [];
  for (const file of files) check(file, (what) => found.push(`${file.path}: ${what}`));
  return found;
}

describe('folders', () => {
  it('hold at most 15 files each, so that a reader sees all of a room at once', () => {
    const counts = new Map<string, number>();
    for (const { path } of files) {
      const folder = path.slice(0, path.lastIndexOf('/') + 1);
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    }
    expect([...counts].filter(([, count]) => count > 15)).toEqual([]);
  });
});

describe('imports between layers', () => {
  it('reads the source at all', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(new Set(files.map(({ path }) => layerOf(path)))).toContain('repositories/kysely');
  });

  it('go inwards only, and never from adapter to adapter', () => {
    const found = violations((file, report) => {
      const from = layerOf(file.path);
      if (from === 'root') return;
      for (const { specifier, isDynamic } of file.imports) {
        const target = resolveRelative(file.path, specifier);
        if (target === undefined) continue;
        if (from === 'testing' && isServerCases(target)) continue;
        const to = layerOf(target);
        const isAllowed =
          to === from ||
          (allowedLayers[from] ?? adapterMayImport).includes(to) ||
          exceptions.some((entry) => entry.from === from && entry.to === to && (entry.dynamic !== true || isDynamic));
        if (!isAllowed) report(`imports ${target}`);
      }
    });
    expect(found).toEqual([]);
  });

  it('of a framework go through its own door, and no other door opens it', () => {
    const doors: Readonly<Record<string, string>> = {
      'ai-sdk.ts': 'adapters/ai-sdk',
      'langchain.ts': 'adapters/langchain',
      'mcp.ts': 'adapters/mcp',
      'jobs.ts': 'adapters/jobs',
    };
    const found = violations(({ path, imports }, report) => {
      const own = doors[path];
      for (const { specifier } of imports) {
        const target = resolveRelative(path, specifier);
        if (target === undefined) continue;
        const to = layerOf(target);
        if (own === undefined ? to.startsWith('adapters/') && layerOf(path) !== to : to !== own) {
          report(`imports ${target}`);
        }
      }
    });
    expect(found).toEqual([]);
  });

  it('never go into the operator’s room, but from its door and the command that copies', () => {
    const room = 'vector-stores/qdrant/admin/';
    const mayEnter = ['admin.ts', 'commands/copy-vectors.ts'];
    const found = violations((file, report) => {
      if (file.path.startsWith(room) || mayEnter.includes(file.path)) return;
      for (const { specifier } of file.imports) {
        const target = resolveRelative(file.path, specifier);
        if (target?.startsWith(room) || target === 'admin.ts') report(`imports ${target}`);
      }
    });
    expect(found).toEqual([]);
  });

  it('keep the rooms of the local model apart: what only a worker needs is loaded by workers only', () => {
    const root = 'providers/sentence-transformers/';
    const onHost = /^(?:[a-z-]+\.ts|scheduling\/.*|threads\/.*)$/;
    const alsoOnHost = ['model/hub-id.ts', 'model/cache-folder.ts'];
    const found = violations((file, report) => {
      if (!file.path.startsWith(root)) return;
      const from = file.path.slice(root.length);
      for (const { specifier, isTypeOnly } of file.imports) {
        const target = resolveRelative(file.path, specifier);
        if (!target?.startsWith(root)) continue;
        const to = target.slice(root.length);
        if (to.startsWith('onnx/') && !/^(onnx|inference)\//.test(from)) report(`imports ${to}`);
        if (to.startsWith('inference/') && !from.startsWith('inference/')) report(`imports ${to}`);
        const isOfWorker = to.startsWith('model/') && !alsoOnHost.includes(to);
        if (onHost.test(from) && isOfWorker && !isTypeOnly) report(`imports more than types of ${to}`);
      }
    });
    expect(found).toEqual([]);
  });

  it('have no cycles', () => {
    const graph = new Map(
      files.map(({ path, imports }) => [
        path,
        imports
          .filter(({ isDynamic }) => !isDynamic)
          .map(({ specifier }) => resolveRelative(path, specifier))
          .filter((target) => target !== undefined),
      ]),
    );
    const done = new Set<string>();
    const findCycle = (path: string, trail: readonly string[]): readonly string[] | undefined => {
      if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
      if (done.has(path)) return undefined;
      for (const target of graph.get(path) ?? []) {
        const cycle = findCycle(target, [...trail, path]);
        if (cycle !== undefined) return cycle;
      }
      done.add(path);
      return undefined;
    };
    const cycles = files.map(({ path }) => findCycle(path, [])).filter((cycle) => cycle !== undefined);
    expect(cycles.map((cycle) => cycle.join(' -> '))).toEqual([]);
  });

  it('name existing files', () => {
    const paths = new Set(files.map(({ path }) => path));
    const found = violations(({ path, imports }, report) => {
      for (const { specifier } of imports) {
        const target = resolveRelative(path, specifier);
        if (target !== undefined && !paths.has(target) && !isServerCases(target))
          report(`imports ${specifier}, which is no source file`);
      }
    });
    expect(found).toEqual([]);
  });
});

describe('packages', () => {
  it('that are heavy are loaded on first use, and only by the adapter that needs them', () => {
    const found = packageImports
      .filter(({ specifier, isTypeOnly, isDynamic }) => !isTypeOnly && !isDynamic && !eagerPackages.includes(specifier))
      .filter(({ path, specifier }) => extendedByAdapter[layerOf(path)] !== packageOf(specifier))
      .map(({ path, specifier }) => `${path}: imports ${specifier} statically`);
    expect(found).toEqual([]);
    const owners = new Map<string, Set<string>>();
    for (const { specifier, path } of packageImports) {
      // A command is a host: it opens what hosts hand in.
      if (eagerPackages.includes(specifier) || isCommand(path)) continue;
      const name = packageOf(specifier);
      owners.set(name, (owners.get(name) ?? new Set()).add(layerOf(path)));
    }
    for (const [name, layers] of owners) {
      expect(
        [...layers].filter((layer) => !layer.includes('/')),
        `${name} outside an adapter`,
      ).toEqual([]);
    }
  });

  it('that are imported are declared', () => {
    const declared = new Set([...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)]);
    const found = packageImports
      .filter(({ specifier }) => !declared.has(packageOf(specifier)))
      .map(({ path, specifier }) => `${path}: ${specifier}`);
    expect(found).toEqual([]);
  });

  it('that are declared are used', () => {
    const literals = new Set<string>();
    for (const { ast } of files) {
      visit(ast, (node) => {
        if (ts.isStringLiteral(node)) literals.add(node.text);
      });
    }
    const isNamed = (name: string) => [...literals].some((text) => text === name || text.startsWith(`${name}/`));
    // pg is loaded by the host, for the handle that it injects: the range says which versions were tried.
    const loadedByTheHost = ['pg'];
    const declared = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)];
    expect(declared.filter((name) => !isNamed(name) && !loadedByTheHost.includes(name))).toEqual([]);
  });

  it('that are peers are all optional', () => {
    const optional = Object.entries(manifest.peerDependenciesMeta).filter(([, meta]) => meta.optional === true);
    expect(optional.map(([name]) => name).toSorted()).toEqual(Object.keys(manifest.peerDependencies).toSorted());
  });

  it('are not needed by the policy, nor is any I/O', () => {
    const allowed = ['big.js', 'node:crypto', 'node:async_hooks'];
    const found = violations(({ path, imports }, report) => {
      if (!['core', 'errors'].includes(layerOf(path))) return;
      for (const { specifier } of imports) {
        if (!specifier.startsWith('.') && !allowed.includes(specifier)) report(`imports ${specifier}`);
      }
    });
    expect(found).toEqual([]);
  });
});

describe('the source', () => {
  it('has no `export *`', () => {
    const found = violations(({ ast }, report) => {
      visit(ast, (node) => {
        if (ts.isExportDeclaration(node) && (!node.exportClause || ts.isNamespaceExport(node.exportClause))) {
          report(node.getText());
        }
      });
    });
    expect(found).toEqual([]);
  });

  it('never prints', () => {
    const found = violations(({ path, ast }, report) => {
      if (isCommand(path)) return;
      visit(ast, (node) => {
        if (
          ts.isPropertyAccessExpression(node) &&
          /^(console|process\.(stdout|stderr))$/.test(node.expression.getText())
        ) {
          report(node.getText());
        }
      });
    });
    expect(found).toEqual([]);
  });

  it('reads the environment in `fromEnv` only, and changes it for one native library', () => {
    const found = violations(({ path, ast }, report) => {
      if (isCommand(path) || path === 'providers/sentence-transformers/threads/runtime-telemetry.ts') return;
      visit(ast, (node) => {
        if (!ts.isPropertyAccessExpression(node) || node.getText() !== 'process.env') return;
        const isInside = ts.findAncestor(
          node,
          (ancestor) => ts.isMethodDeclaration(ancestor) && ancestor.name.getText() === 'fromEnv',
        );
        if (isInside === undefined)
          report(`process.env in line ${ast.getLineAndCharacterOfPosition(node.pos).line + 1}`);
      });
    });
    expect(found).toEqual([]);
  });

  it('has file names in kebab-case', () => {
    expect(files.map(({ path }) => path).filter((path) => !/^[a-z0-9/-]+\.ts$/.test(path))).toEqual([]);
  });
});

describe('unit tests', () => {
  it('mock no module: they share one module graph, see vitest.config.ts', () => {
    const folder = join(repositoryRoot, 'test', 'unit');
    const mocking = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .filter((name) => /\bvi\.(mock|doMock|resetModules)\(/.test(readFileSync(join(folder, name), 'utf8')));
    expect(mocking).toEqual([]);
  });
});
