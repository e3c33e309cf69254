// Speeds from counters that only grow.

export interface Reading {
  // Seconds since the Unix epoch.
  readonly at: number;
  // Bytes and requests since the start of the instance.
  readonly up: number;
  readonly down: number;
  readonly ok: number;
  readonly failed: number;
}

// As `Reading`, with bytes and requests per second.
export type Sample = Reading;

// What has flowed per second between two readings; undefined where the counters have begun anew, or no time has passed.
export function sampleBetween(before: Reading, now: Reading): Sample | undefined {
  const seconds = now.at - before.at;
  const names = ["up", "down", "ok", "failed"] as const;
  if (seconds <= 0 || names.some((name) => now[name] < before[name])) return undefined;
  const rate = (name: (typeof names)[number]) => (now[name] - before[name]) / seconds;
  return { at: now.at, up: rate("up"), down: rate("down"), ok: rate("ok"), failed: rate("failed") };
}
