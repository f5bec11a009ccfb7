import { expect, it } from 'vitest';
import { platformHint } from '#src/providers/sentence-transformers/inference/platform-hint.js';

it.each([
  ['linux', 'x64', undefined, /musl \(Alpine\).*glibc/],
  ['darwin', 'x64', undefined, /Intel/],
  ['freebsd', 'x64', undefined, /freebsd-x64/],
  ['linux', 's390x', '2.36', /linux-s390x/],
])('%s on %s with glibc %s is told what to do', (platform, arch, glibcVersion, hint) => {
  expect(platformHint({ platform, arch, glibcVersion })).toMatch(hint);
});

it('has nothing to say about a platform that has a library', () => {
  expect(platformHint({ platform: 'linux', arch: 'arm64', glibcVersion: '2.36' })).toBeUndefined();
  expect(platformHint({ platform: 'win32', arch: 'x64', glibcVersion: undefined })).toBeUndefined();
});
