// Keeps the English plain and the lines short; `npx tsx .ci/words.ts [folder or file …]`, a part of `npm run lint`.
// Checked: comments and texts in TypeScript, titles of tests, and the prose of Markdown. docs/words.md says what to
// write instead.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import ts from 'typescript';

interface Rule {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** After these, `where` is a place: "the folder where the files are", "says where it failed". */
const placeBefore =
  'place|folder|directory|file|line|position|path|section|page|column|machine|process|server|thread|offset|index|room|part';
const questionBefore =
  'knows?|says?|shows?|sees?|tells?|remembers?|finds?|notes?|decides?|is|and|of|from|exactly|just|ends?|ended|begins?';

const rules: readonly Rule[] = [
  {
    pattern: new RegExp(`(?<!\\b(?:${placeBefore})s? )(?<!\\b(?:${questionBefore}) )\\bwhere\\b(?! to\\b)(?!\\()`, 'g'),
    instead: 'if, when',
  },
  // "Where it fails, the call fails" is a condition; "Where a row begins" is a place.
  { pattern: /\bWhere\b(?=[^.?]*,)/g, instead: 'if, when' },
  { pattern: /\b(?:told|tells?) of\b|\b(?:is|are|was|were) told\b(?! apart)/gi, instead: 'called with, called after' },
  { pattern: /\bstands?\b(?! for\b| in for\b| out\b| still\b|-)|\bstood\b(?! still\b)/gi, instead: 'is, is stored' },
  { pattern: /(?<!\bthere )\b(?:is|are|was|were) none\b(?! of\b)/gi, instead: 'is invalid, is not a …' },
  { pattern: /(?<!\bthere )\b(?:is|are) no (?!longer\b|more\b|less\b|other\b)/gi, instead: 'is not a …' },
  { pattern: /\banew\b/gi, instead: 'again, recreated' },
  {
    pattern: /\b(?:heeds?|mends?|mended|reckon\w*|lest|whence|thereof|therein|wherein|whereby|upon|naught|behold)\b/gi,
    instead: 'a common word',
  },
  { pattern: /\b(?:evens? out|put right|goes on where|left to its fate|in the books)\b/gi, instead: 'a common word' },
];

const commentColumns = 120;
const proseColumns = 100;
const found: string[] = [];

function checkText(file: string, line: number, text: string): void {
  for (const { pattern, instead } of rules) {
    for (const [word] of text.matchAll(pattern)) found.push(`${file}:${line}: "${word.trim()}": write ${instead}`);
  }
}

function checkTypeScript(file: string, text: string): void {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const seen = new Set<number>();
  const checkComments = (ranges: readonly ts.CommentRange[] | undefined) => {
    for (const { pos, end } of ranges ?? []) {
      if (seen.has(pos)) continue;
      seen.add(pos);
      text
        .slice(pos, end)
        .split('\n')
        .forEach((line, index) => {
          checkText(file, lineOf(pos) + index, line);
          const before = index === 0 ? source.getLineAndCharacterOfPosition(pos).character : 0;
          if (before + line.length > commentColumns)
            found.push(`${file}:${lineOf(pos) + index}: over ${commentColumns} columns`);
        });
    }
  };
  const visit = (node: ts.Node): void => {
    checkComments(ts.getLeadingCommentRanges(text, node.pos));
    checkComments(ts.getTrailingCommentRanges(text, node.end));
    // Of tests, only titles: their texts are data.
    const isTest = file.startsWith('test/');
    const isTitle =
      ts.isCallExpression(node.parent) &&
      node.parent.arguments[0] === node &&
      /^(?:it|test|describe)\b/.test(node.parent.expression.getText(source));
    if (
      (ts.isStringLiteralLike(node) && node.text.includes(' ') && (!isTest || isTitle)) ||
      (ts.isTemplateExpression(node) && !isTest)
    ) {
      checkText(file, lineOf(node.getStart(source)), node.getText(source).replaceAll(/\$\{[^}]*\}/g, ''));
    }
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(source, visit);
}

function checkMarkdown(file: string, text: string): void {
  let isCode = false;
  text.split('\n').forEach((line, index) => {
    if (/^\s*(?:> )?```/.test(line)) isCode = !isCode;
    if (isCode || /^ {4}/.test(line)) return;
    checkText(file, index + 1, line.replaceAll(/`[^`]*`/g, ''));
    // Tables, links and commands cannot be broken.
    if (line.length > proseColumns && !/^\s*\||\]\(|https?:|^`[^`]+`/.test(line))
      found.push(`${file}:${index + 1}: over ${proseColumns} columns`);
  });
}

const asked = process.argv.slice(2);
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--', ...asked], { encoding: 'utf8' })
  .split('\n')
  // The word list itself, and the seeds of tests that hold other people's words.
  .filter((name) => !['.ci/words.ts', 'docs/words.md', ''].includes(name) && !name.startsWith('test/fixtures/'));
for (const file of files) {
  const read = () => readFileSync(file, 'utf8');
  if (/\.[cm]?tsx?$/.test(file)) checkTypeScript(file, read());
  else if (file.endsWith('.md') && file !== 'CHANGELOG.md') checkMarkdown(file, read());
}
for (const line of found) console.error(line);
if (found.length > 0) {
  console.error(`${found.length} places; see docs/words.md.`);
  process.exitCode = 1;
}
