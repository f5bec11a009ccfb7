/** A server's optimisers begin some time after the last write: green must have been seen for a while. */
export async function untilGreen(readStatus: () => Promise<string>): Promise<void> {
  for (let seen = 0; seen < 5; ) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const status = await readStatus();
    if (status === 'red') throw new Error('The server says that optimising the collection failed.');
    seen = status === 'green' ? seen + 1 : 0;
  }
}
