// Jest in a CommonJS host, as it comes.
const { use } = require('./use.cjs');

test('the package loads and works', async () => {
  expect(await use()).toBe('found two');
});
