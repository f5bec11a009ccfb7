// A host in which both copies of the library are loaded: an error of one is recognised by the other.
const required = require('@pulse/ai-providers');

async function main() {
  const imported = await import('@pulse/ai-providers');
  const errors = [new required.InvalidInputError('x'), new imported.InvalidInputError('x')];
  console.log(
    JSON.stringify({
      isOneCopy: required.AiProviderError === imported.AiProviderError,
      recognised: errors.every((error) => required.isAiProviderError(error) && imported.isAiProviderError(error)),
      sameNames: Object.keys(required).toSorted().join() === Object.keys(imported).toSorted().join(),
    }),
  );
}

main();
