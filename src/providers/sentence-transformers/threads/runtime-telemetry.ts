/**
 * From 1.29 on, onnxruntime sends what process it runs in and which models it loads to Microsoft, and writes a device id and a database below
 * `~/.cache/Microsoft`, unless this variable says otherwise when it is loaded; it has no other switch that comes before the first event. A value that the
 * host has set stays. To be called where threads are started, and not in them: the runtime does not see the environment of a thread.
 */
export function silenceRuntimeTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
}
