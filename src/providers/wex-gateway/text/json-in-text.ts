/**
 * The JSON that a text is, or holds: models that are not held to a schema think aloud before it, wrap it in a fence of
 * Markdown, or introduce it. Takes a time that grows with the length alone: models also like to repeat themselves
 * without end.
 */
export function jsonIn(text: string): { readonly value: unknown } | undefined {
  const answer = afterThinking(text);
  for (const candidate of [text, answer, inFence(answer), inBrackets(answer)]) {
    if (candidate === undefined) continue;
    try {
      return { value: JSON.parse(candidate) };
    } catch {
      // The next one.
    }
  }
  return undefined;
}

function afterThinking(text: string): string {
  const end = text.lastIndexOf('</think>');
  return end === -1 ? text : text.slice(end + '</think>'.length);
}

const fence = '```';

/** What is in the first fence, without the name of the language. */
function inFence(text: string): string | undefined {
  const start = text.indexOf(fence);
  const end = text.indexOf(fence, start + fence.length);
  if (start === -1 || end === -1) return undefined;
  const content = text.slice(start + fence.length, end).trimStart();
  return /^\w+/.test(content) && !/^(true|false|null|\d)/.test(content) ? content.replace(/^\w+/, '') : content;
}

/** From the first bracket to the last. */
function inBrackets(text: string): string | undefined {
  const start = text.search(/[{[]/);
  const end = Math.max(text.lastIndexOf('}'), text.lastIndexOf(']'));
  return start === -1 || end <= start ? undefined : text.slice(start, end + 1);
}
