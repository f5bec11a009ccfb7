import { readFile, writeFile } from 'node:fs/promises';

const file = new URL('./README.md', import.meta.url);

/** Replaces what stands between the markers of `name` in bench/README.md. */
export async function replaceSection(name: string, content: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => '# Benchmarks\n');
  const [start, end] = [`<!-- bench:${name}:start -->`, `<!-- bench:${name}:end -->`];
  const section = `${start}\n${content.trim()}\n${end}`;
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  const replaced =
    from < 0 || to < from
      ? `${text.trimEnd()}\n\n${section}\n`
      : text.slice(0, from) + section + text.slice(to + end.length);
  await writeFile(file, replaced);
}
