import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { readSourceFiles, repositoryRoot, visit } from '../helpers/source-file.js';

const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync(join(repositoryRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];
const read = (path: string) => readFileSync(join(repositoryRoot, path), 'utf8');

describe('docs/errors.md', () => {
  const documented = [...read('docs/errors.md').matchAll(/^\| `([a-z_]+)`\s+\|/gm)].map(([, code]) => code);

  it('has every code of errors.ts, in order, and no other', () => {
    const codes: string[] = [];
    const errors = readSourceFiles().find(({ path }) => path === 'errors.ts')!;
    visit(errors.ast, (node) => {
      if (!ts.isTypeAliasDeclaration(node) || node.name.text !== 'AiProviderErrorCode') return;
      visit(node.type, (part) => {
        if (ts.isStringLiteral(part)) codes.push(part.text);
      });
    });
    expect(codes.length).toBeGreaterThan(20);
    expect(documented).toEqual(codes);
  });

  it('has every error class', () => {
    const index = readSourceFiles().find(({ path }) => path === 'index.ts')!;
    const classes = [...index.ast.text.matchAll(/\b(\w+Error),/g)].map(([, name]) => name);
    expect(classes).toContain('RepositoryError');
    const missing = classes.filter((name) => !read('docs/errors.md').includes(`\`${name}\``));
    expect(missing).toEqual([]);
  });
});

/** What the code in the documents takes as given: the host's own things, and what an earlier piece of code has made. */
const given = `
declare const db: import('kysely').Kysely<unknown>;
declare const repository: import('@pulse/ai-providers').IntegrationRepository;
declare const credentialCipher: import('@pulse/ai-providers').CredentialCipher;
declare const provider: import('@pulse/ai-providers').WexGatewayProvider;
declare const manager: import('@pulse/ai-providers').HybridProviderManager;
declare const index: import('@pulse/ai-providers').VectorIndex;
declare const store: import('@pulse/ai-providers').PulseQdrantClient;
declare const inHouseKind: import('@pulse/ai-providers').ProviderKind;
declare const logger: import('@pulse/ai-providers').Logger;
declare const encryptionKey: string;
declare const apiKey: string;
declare const texts: string[];
declare function readPage(cursor?: string): Promise<import('@pulse/ai-providers').SyncPage>;
declare function requeue(): void;
declare function readRowsAfter(cursor: string, limit: number): Promise<{ id: number; title: string; status: string }[]>;
declare function writeBridgeRows(...row: unknown[]): Promise<void>;
declare const pool: import('pg').Pool;
`;

describe('the documents', () => {
  it('have code that compiles', { timeout: 120_000 }, () => {
    const files = new Map([[join(repositoryRoot, 'documents', 'given.d.ts'), given]]);
    for (const path of documents) {
      const blocks = [...read(path).matchAll(/^```ts\n(.*?)^```/gms)];
      for (const [index, [, code]] of blocks.entries()) {
        files.set(
          join(repositoryRoot, 'documents', `${path.replaceAll(/\W/g, '-')}-${index + 1}.ts`),
          `export {};\n${code}`,
        );
      }
    }
    expect(files.size).toBeGreaterThan(5);
    expect(compile(files)).toEqual([]);
  });

  it.each(documents)('%s links to files that exist', (path) => {
    const links = [...read(path).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !existsSync(join(repositoryRoot, dirname(path), link)))).toEqual([]);
  });
});

function compile(files: ReadonlyMap<string, string>): string[] {
  const { config } = ts.readConfigFile(join(repositoryRoot, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, repositoryRoot);
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.getSourceFile = (name, ...rest) => {
    const text = files.get(name);
    return text === undefined ? getSourceFile(name, ...rest) : ts.createSourceFile(name, text, rest[0]);
  };
  // The pages show the AI SDK's newest version; `ai` here is the one that Node 20 gets.
  const paths = { ...options.paths, ai: ['./node_modules/ai-7/dist/index.d.ts'] };
  const program = ts.createProgram([...files.keys()], { ...options, paths }, host);
  return [...files.keys()].flatMap((name) =>
    ts.getPreEmitDiagnostics(program, program.getSourceFile(name)).map((diagnostic) => {
      const line = diagnostic.file?.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line;
      return `${name.split('/').at(-1)}:${line}: ${ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n')}`;
    }),
  );
}
