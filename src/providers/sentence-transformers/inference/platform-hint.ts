interface Platform {
  readonly platform: string;
  readonly arch: string;
  /** The version of glibc that Node runs on; undefined for musl, and outside of Linux. */
  readonly glibcVersion: string | undefined;
}

/**
 * What to do on a platform that onnxruntime-node has no native library for, or undefined for one that it has. Its packages hold Linux with glibc (x64,
 * arm64), macOS on Apple silicon and Windows (x64, arm64): https://www.npmjs.com/package/onnxruntime-node
 */
export function platformHint({ platform, arch, glibcVersion }: Platform = thisPlatform()): string | undefined {
  if (platform === 'linux' && glibcVersion === undefined) {
    return 'it has no library for musl (Alpine): use an image with glibc, such as node:22-slim';
  }
  if (platform === 'darwin' && arch === 'x64') {
    return 'it has no library for Macs with Intel processors: use a gateway there, or run in Docker';
  }
  const supported = ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64', 'win32-arm64'];
  if (supported.includes(`${platform}-${arch}`)) return undefined;
  return `it has no library for ${platform}-${arch}: it has one for ${supported.join(', ')}`;
}

function thisPlatform(): Platform {
  const { header } = process.report.getReport() as { readonly header: { readonly glibcVersionRuntime?: string } };
  return { platform: process.platform, arch: process.arch, glibcVersion: header.glibcVersionRuntime };
}
