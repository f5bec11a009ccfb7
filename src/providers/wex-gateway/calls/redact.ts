/** A run of the caller's input of this length is not shown; shorter runs are words that any sentence may have. */
const longestRun = 12;
const mask = '…';
/**
 * Inputs of more characters than this are not compared, which would take long: nothing of the message is shown then.
 */
const mostInput = 500_000;

/** The server's words without secrets and without what they repeat of the caller's inputs. */
export function redact(message: string, secrets: readonly string[], inputs: readonly string[]): string {
  let result = message;
  for (const secret of secrets) if (secret !== '') result = result.replaceAll(secret, mask);
  // Servers show the beginning and the end of a key, such as `sk-ab***yz`.
  result = result.replace(/\b(?:(?:sk|pk|key)[-_*][\w*.-]{3,}|bearer \S+)/gi, mask);
  for (const input of inputs)
    if (input.length >= 4 && input.length < longestRun) result = result.replaceAll(input, mask);
  return withoutRuns(result, inputs);
}

/** Masks every run of `longestRun` characters that an input holds as well. */
function withoutRuns(message: string, inputs: readonly string[]): string {
  if (inputs.reduce((sum, { length }) => sum + length, 0) > mostInput) return '';
  const positions = new Map<string, number[]>();
  for (let at = 0; at + longestRun <= message.length; at++) {
    const run = message.slice(at, at + longestRun);
    const known = positions.get(run);
    if (known) known.push(at);
    else positions.set(run, [at]);
  }
  if (positions.size === 0) return message;
  const isMasked = new Uint8Array(message.length);
  for (const input of inputs) {
    for (let at = 0; at + longestRun <= input.length; at++) {
      for (const start of positions.get(input.slice(at, at + longestRun)) ?? [])
        isMasked.fill(1, start, start + longestRun);
    }
  }
  let result = '';
  for (let at = 0; at < message.length; at++) {
    if (isMasked[at] === 0) result += message[at];
    else if (at === 0 || isMasked[at - 1] === 0) result += mask;
  }
  return result;
}
