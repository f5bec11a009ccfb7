import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const nodeModules = new URL('../node_modules/', import.meta.url).pathname;

/** English sentences of 25 to 300 characters from the README files of the installed packages, in a fixed order. */
export function readmeSentences(): string[] {
  const sentences: string[] = [];
  for (const folder of readdirSync(nodeModules).sort()) {
    const file = join(nodeModules, folder, 'README.md');
    if (!existsSync(file)) continue;
    for (const part of plainText(readFileSync(file, 'utf8')).split(/(?<=[.!?])\s+|\n\s*\n/)) {
      const sentence = part.replace(/[#*_`>|\s]+/g, ' ').trim();
      if (sentence.length >= 25 && sentence.length <= 300 && /[a-z] [a-z]/.test(sentence)) sentences.push(sentence);
    }
  }
  return [...new Set(sentences)];
}

function plainText(markdown: string): string {
  return markdown
    .replace(/```[\s\S]*?```/g, ' ')
    .replace(/<[^>]+>/g, ' ')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
}
