import { join } from 'node:path';
import { homeFolder } from './model/cache-folder.js';
import { type LocalModelOptions, requireUrl } from './options.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The options that the environment of Python's huggingface_hub stands for: `HF_HOME` (models are kept in `pulse-ai-providers` in it),
 * `HF_HUB_CACHE` (models are read from it; else from `hub` in `HF_HOME`, else from `~/.cache/huggingface/hub`), `HF_ENDPOINT`, `HF_TOKEN`,
 * `HF_TOKEN_PATH` (else `token` in `HF_HOME`), `HF_HUB_OFFLINE`, and `HTTPS_PROXY` (`HTTP_PROXY` for an endpoint without TLS) or
 * `ALL_PROXY`, with `NO_PROXY`. No file is read.
 *
 * @throws `InvalidInputError` that names the variable.
 */
export function localModelOptionsFromEnv(env: Environment): LocalModelOptions {
  const read = (name: string): string | undefined => env[name]?.trim() || env[name.toLowerCase()]?.trim() || undefined;
  const readPath = (name: string): string | undefined =>
    read(name)?.replace(/^~(?=$|[\\/])/, (tilde) => read('HOME') ?? homeFolder() ?? tilde);
  const hubEndpoint = read('HF_ENDPOINT');
  if (hubEndpoint !== undefined) requireUrl(hubEndpoint, 'HF_ENDPOINT');
  const ownHome = readPath('HF_HOME');
  const python = ownHome ?? pythonHome(readPath);
  return {
    cacheFolder: ownHome === undefined ? undefined : join(ownHome, 'pulse-ai-providers'),
    sharedCacheFolder: readPath('HF_HUB_CACHE') ?? readPath('HUGGINGFACE_HUB_CACHE') ?? (python && join(python, 'hub')),
    hubEndpoint,
    hubToken: read('HF_TOKEN'),
    hubTokenFile: readPath('HF_TOKEN_PATH') ?? (python && join(python, 'token')),
    isOffline: /^(1|true|yes|on)$/i.test(read('HF_HUB_OFFLINE') ?? ''),
    proxy: proxyFor(new URL(hubEndpoint ?? 'https://huggingface.co'), read),
  };
}

/** Where huggingface_hub keeps its files when no variable of its own says so. */
function pythonHome(readPath: (name: string) => string | undefined): string | undefined {
  const home = readPath('HOME') ?? homeFolder();
  const cache = readPath('XDG_CACHE_HOME') ?? (home === undefined ? undefined : join(home, '.cache'));
  return cache === undefined ? undefined : join(cache, 'huggingface');
}

function proxyFor(endpoint: URL, read: (name: string) => string | undefined): string | undefined {
  if (isExempt(endpoint, read('NO_PROXY'))) return undefined;
  return read(endpoint.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY') ?? read('ALL_PROXY');
}

/** Options given go before the environment's; one that is undefined counts as not given. */
export function withEnvironment<Options extends LocalModelOptions>(options: Options, env: Environment): Options {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  return { ...localModelOptionsFromEnv(env), ...Object.fromEntries(given) } as Options;
}

/**
 * Whether `NO_PROXY` names the host, as Python and curl read it: a name stands for its subdomains too, which undici's own reading of it,
 * for one, leaves out.
 */
function isExempt(endpoint: URL, noProxy = ''): boolean {
  const port = endpoint.port || (endpoint.protocol === 'https:' ? '443' : '80');
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .map((entry) => /^(?:\*?\.)?(.*?)(?::(\d+))?$/.exec(entry)!)
    .some(
      ([, host = '', hostPort = port]) =>
        host === '*' || (host !== '' && hostPort === port && `.${endpoint.hostname}`.endsWith(`.${host}`)),
    );
}
