import { afterEach, expect, it, vi } from 'vitest';
import { silenceRuntimeTelemetry } from '#src/providers/sentence-transformers/threads/runtime-telemetry.js';

afterEach(() => void vi.unstubAllEnvs());

it('switches it off', () => {
  vi.stubEnv('ORT_DISABLE_TELEMETRY', undefined);
  silenceRuntimeTelemetry();
  expect(process.env.ORT_DISABLE_TELEMETRY).toBe('1');
});

it('leaves a choice of the host', () => {
  vi.stubEnv('ORT_DISABLE_TELEMETRY', '0');
  silenceRuntimeTelemetry();
  expect(process.env.ORT_DISABLE_TELEMETRY).toBe('0');
});
