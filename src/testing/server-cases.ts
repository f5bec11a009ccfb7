import accounting from '../../test/servers/accounting.json' with { type: 'json' };
import azure from '../../test/servers/azure.json' with { type: 'json' };
import deepseek from '../../test/servers/deepseek.json' with { type: 'json' };
import gemini from '../../test/servers/gemini.json' with { type: 'json' };
import groq from '../../test/servers/groq.json' with { type: 'json' };
import hostedServices from '../../test/servers/hosted-services.json' with { type: 'json' };
import litellm from '../../test/servers/litellm.json' with { type: 'json' };
import litellmReal from '../../test/servers/litellm-real.json' with { type: 'json' };
import mistral from '../../test/servers/mistral.json' with { type: 'json' };
import ollama from '../../test/servers/ollama.json' with { type: 'json' };
import openai from '../../test/servers/openai.json' with { type: 'json' };
import openrouter from '../../test/servers/openrouter.json' with { type: 'json' };
import proxies from '../../test/servers/proxies.json' with { type: 'json' };
import tei from '../../test/servers/tei.json' with { type: 'json' };
import transport from '../../test/servers/transport.json' with { type: 'json' };
import vllm from '../../test/servers/vllm.json' with { type: 'json' };
import type { ServerReply } from './fake-server.js';

/** What a real server was seen to do, and what its user expects of a client. */
export interface ServerCase {
  readonly id: string;
  /** Who behaves so. */
  readonly server: string;
  /** What its user expects. */
  readonly why: string;
  readonly operation: 'text' | 'stream' | 'embeddings' | 'health';
  /** For a `FakeServer`. */
  readonly replies: readonly ServerReply[];
  /** What an integration has, apart from address, key and models (`model-a`, `embed-a`). */
  readonly row?: Readonly<Record<string, unknown>>;
  readonly call?: Readonly<Record<string, unknown>>;
  /** All of it must be met; test/servers/README.md describes the fields. */
  readonly expect: Readonly<Record<string, unknown>>;
  readonly [field: string]: unknown;
}

/** By the file that they are in: a server, or a theme. */
export const serverCases: Readonly<Record<string, readonly ServerCase[]>> = {
  accounting,
  azure,
  deepseek,
  gemini,
  groq,
  'hosted-services': hostedServices,
  'litellm-real': litellmReal,
  litellm,
  mistral,
  ollama,
  openai,
  openrouter,
  proxies,
  tei,
  transport,
  vllm,
} as unknown as Readonly<Record<string, readonly ServerCase[]>>;
