import { homedir } from 'node:os';
import { join } from 'node:path';
import { type LocalModelOptions, requireUrl } from './options.js';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The options that the environment of Python's huggingface_hub stands for: `HF_HOME` (models are kept in `pulse-ai-providers` below it,
 * and read from its `hub`), `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`, and `HTTPS_PROXY` (`HTTP_PROXY` for an endpoint without TLS) or
 * `ALL_PROXY`, with `NO_PROXY`.
 *
 * @throws `InvalidInputError` that names the variable.
 */
export function localModelOptionsFromEnv(env: Environment): LocalModelOptions {
  const read = (name: string): string | undefined => env[name]?.trim() || env[name.toLowerCase()]?.trim() || undefined;
  const home = read('HF_HOME')?.replace(/^~(?=$|[\\/])/, homedir());
  const hubEndpoint = read('HF_ENDPOINT');
  if (hubEndpoint !== undefined) requireUrl(hubEndpoint, 'HF_ENDPOINT');
  const endpoint = new URL(hubEndpoint ?? 'https://huggingface.co');
  const proxyNames = [endpoint.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY', 'ALL_PROXY'];
  const proxyName = isExempt(endpoint, read('NO_PROXY')) ? undefined : proxyNames.find((name) => read(name));
  return {
    cacheFolder: home === undefined ? undefined : join(home, 'pulse-ai-providers'),
    sharedCacheFolder: home === undefined ? undefined : join(home, 'hub'),
    hubEndpoint,
    hubToken: read('HF_TOKEN'),
    isOffline: /^(1|true|yes|on)$/i.test(read('HF_HUB_OFFLINE') ?? ''),
    proxy: proxyName === undefined ? undefined : requireUrl(read(proxyName), proxyName),
  };
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
