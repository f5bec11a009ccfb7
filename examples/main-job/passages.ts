import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Passage {
  readonly recordId: string;
  readonly source: string;
  readonly text: string;
}

const nodeModules = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'node_modules');

/** Passages of the packages' READMEs, taken from each package in turn until there are enough. A package that is not installed is left out. */
export async function readPassages(packages: readonly string[], count: number): Promise<Passage[]> {
  const queues = await Promise.all(packages.map(async (name) => splitReadme(name, await readReadme(name))));
  const passages: Passage[] = [];
  for (let round = 0; passages.length < count; round++) {
    const next = queues.flatMap((queue) => queue[round] ?? []);
    if (next.length === 0) break;
    passages.push(...next.slice(0, count - passages.length));
  }
  return passages;
}

async function readReadme(name: string): Promise<string> {
  for (const file of ['README.md', 'readme.md']) {
    const text = await readFile(join(nodeModules, name, file), 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return '';
}

function splitReadme(name: string, markdown: string): Passage[] {
  const prose = markdown
    .replace(/```[\s\S]*?```/g, '\n\n')
    .replace(/<[^>]+>/g, ' ')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1');
  return prose
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, ' ').trim())
    .filter((paragraph) => paragraph.length >= 60 && /[a-z]{3}/.test(paragraph))
    .map((paragraph, index) => ({
      recordId: `${name}#${index + 1}`,
      source: `${name}/README.md`,
      text: paragraph.slice(0, 800),
    }));
}
