import type { UsageRecorder } from './usage-recorder.js';

/** What every asynchronous method takes. */
export interface CallOptions {
  /** Ends the call; its reason is rethrown untouched. */
  readonly signal?: AbortSignal | undefined;
}

/** Whether somebody waits for the answer. Interactive calls go first if calls share a limit. */
export type CallPurpose = 'interactive' | 'bulk';

/** What the manager passes down to a provider with each call. */
export interface ProviderCallOptions extends CallOptions {
  /** @default 'interactive' */
  readonly purpose?: CallPurpose | undefined;
  /**
   * Another provider can serve the call if this one cannot. A provider then does not sleep out a long Retry-After: it
   * gives the call back, with the error, as soon as waiting would take longer than asking the other one.
   * @default false
   */
  readonly hasFallback?: boolean | undefined;
  /**
   * Takes the usage of this call's requests, instead of the provider's own recorder. A provider that ignores it and
   * records with its own recorder is found out by the asynchronous context, which is lost in an event listener: pass
   * this one there.
   */
  readonly usageRecorder?: UsageRecorder | undefined;
}
