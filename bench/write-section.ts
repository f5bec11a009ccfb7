import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const readme = new URL('./README.md', import.meta.url);

/** Puts a benchmark's section into bench/README.md, in place of the one that it wrote before. */
export function writeSection(name: string, text: string): void {
  const start = `<!-- bench:${name}:start -->`;
  const end = `<!-- bench:${name}:end -->`;
  const section = `${start}\n${text}\n${end}`;
  const before = existsSync(readme) ? readFileSync(readme, 'utf8') : '# Benchmarks\n';
  const from = before.indexOf(start);
  const after =
    from === -1
      ? `${before.trimEnd()}\n\n${section}\n`
      : `${before.slice(0, from)}${section}${before.slice(before.indexOf(end) + end.length)}`;
  writeFileSync(readme, after);
}
