// Compiled by `npm run types`: a code narrows to the class that carries its data.
import { isAiProviderError } from '#src/errors.js';

declare const error: unknown;

if (isAiProviderError(error, 'rate_limited')) error.retryAfterMs satisfies number | undefined;
if (isAiProviderError(error, 'embedding_partially_failed')) error.failures[0]?.position satisfies number | undefined;
if (isAiProviderError(error, 'repository_failed')) error.isAboutRow satisfies boolean;
if (isAiProviderError(error, 'providers_exhausted')) error.errors[0]?.code satisfies string | undefined;
if (isAiProviderError(error, 'missing_dependency')) error.packageNames satisfies readonly string[];
if (isAiProviderError(error, 'invalid_config')) error.code satisfies 'invalid_config';
// @ts-expect-error Without a code nothing is known of the data.
if (isAiProviderError(error)) error.retryAfterMs;
// @ts-expect-error A code that there is not.
isAiProviderError(error, 'out_of_luck');
