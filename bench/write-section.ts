import { readFile, writeFile } from 'node:fs/promises';
import { arch, cpus } from 'node:os';

const readme = new URL('README.md', import.meta.url);

/** Puts a bench's figures between its markers in bench/README.md, and prints them. */
export async function writeSection(name: string, lines: readonly string[]): Promise<void> {
  const [start, end] = [`<!-- bench:${name}:start -->`, `<!-- bench:${name}:end -->`];
  const machine = `${cpus().length} x ${cpus()[0]?.model ?? arch()}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}.`;
  const section = [start, ...lines, '', machine, end].join('\n');
  const text = await readFile(readme, 'utf8').catch(() => '# Benchmarks\n');
  const [before, rest] = text.split(start);
  const after = rest?.split(end)[1];
  await writeFile(
    readme,
    after === undefined ? `${text.trimEnd()}\n\n## ${name}\n\n${section}\n` : `${before}${section}${after}`,
  );
  console.log(lines.join('\n'));
}
