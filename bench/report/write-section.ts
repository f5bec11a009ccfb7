import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const readme = fileURLToPath(new URL('../README.md', import.meta.url));
const charts = fileURLToPath(new URL('../charts/', import.meta.url));

/** Replaces the section of one benchmark in bench/README.md, or adds it at the end. */
export async function writeSection(name: string, lines: readonly string[]): Promise<void> {
  const [start, end] = [`<!-- bench:${name}:start -->`, `<!-- bench:${name}:end -->`];
  const section = [start, ...lines, end].join('\n');
  const text = await readFile(readme, 'utf8').catch(() => '# Benchmarks\n');
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  const replaced =
    from >= 0 && to > from
      ? text.slice(0, from) + section + text.slice(to + end.length)
      : `${text.trimEnd()}\n\n${section}\n`;
  await writeFile(readme, replaced);
}

export async function writeChart(name: string, svg: string): Promise<void> {
  await mkdir(charts, { recursive: true });
  await writeFile(`${charts}${name}.svg`, svg);
}
