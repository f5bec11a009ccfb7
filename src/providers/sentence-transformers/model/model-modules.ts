import { requirePathInside } from './model-files.js';

/** What `modules.json` says about the steps after the transformer. */
export interface ModelModules {
  /** The path of the file that says how token vectors become one. */
  readonly poolingConfig: string;
  /** Whether there must be such a file: without `modules.json` there need not be, and mean pooling is what is left. */
  readonly isPoolingNamed: boolean;
  readonly isNormalized: boolean;
}

/**
 * @param modules - The content of `modules.json`, or undefined where a model has none.
 * @throws an Error that names what is not supported: leaving out a step would give other vectors without anybody noticing.
 */
export function readModules(modules: unknown): ModelModules {
  if (modules === undefined) {
    return { poolingConfig: '1_Pooling/config.json', isPoolingNamed: false, isNormalized: false };
  }
  if (!Array.isArray(modules)) throw new Error('modules.json is not a list of modules');
  let poolingConfig: string | undefined;
  let isNormalized = false;
  for (const module of modules as readonly { readonly type?: unknown; readonly path?: unknown }[]) {
    const type = String(module?.type).split('.').at(-1);
    const path = requirePathInside(String(module?.path ?? ''));
    if (type === 'Pooling') poolingConfig = path === '' ? 'config.json' : `${path}/config.json`;
    else if (type === 'Normalize') isNormalized = true;
    else if (type !== 'Transformer') throw new Error(`modules.json has a module ${type}, which is not supported`);
    else if (path !== '') {
      throw new Error(`modules.json has its Transformer in the folder ${path}; it is supported at the top only`);
    }
  }
  if (poolingConfig === undefined) throw new Error('modules.json has no module Pooling, which is not supported');
  return { poolingConfig, isPoolingNamed: true, isNormalized };
}
