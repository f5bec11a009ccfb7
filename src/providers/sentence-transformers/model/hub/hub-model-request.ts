import type { Dtype } from '../../dtype.js';

export interface HubModelRequest {
  readonly hubId: string;
  /** A branch, tag or commit. */
  readonly revision: string;
  readonly dtype: Dtype;
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}
