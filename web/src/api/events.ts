// What goes on now, for every screen: the state of the instance, the traffic of the last minutes, what an operator should look
// at. Events bring it as it happens; where they cannot be had, the state is asked for every few seconds.

import { batch, signal } from "@preact/signals";

import { api, offline, value } from "./client";
import { sampleBetween, type Reading, type Sample } from "./samples";
import type { Alert, Counts, Status, Traffic } from "./types";

// The whole state, with its sources and its last failures, is asked for less often while events come.
const POLL_MS = 2000;
const POLL_WITH_EVENTS_MS = 10_000;
const MOST_SAMPLES = 600;

const status = signal<Status | undefined>(undefined);
const samples = signal<readonly Sample[]>([]);
const alerts = signal<ReadonlyMap<string, Alert>>(new Map());
const failure = signal<unknown>(undefined);
// Goes up when nodes have changed, so that a list of them is asked for again.
const nodesChanged = signal(0);
const connected = signal(false);

let before: Reading | undefined;

function addSample(reading: Reading): void {
  const sample = before === undefined ? undefined : sampleBetween(before, reading);
  if (sample !== undefined) samples.value = [...samples.value, sample].slice(-MOST_SAMPLES);
  before = reading;
}

async function refresh(): Promise<void> {
  try {
    const next = (await value(api.GET("/api/v1/status"))) as Status;
    batch(() => {
      if (!connected.peek()) addSample({ ...next.traffic, at: Date.now() / 1000 });
      status.value = next;
      failure.value = undefined;
    });
  } catch (error) {
    failure.value = error;
  }
}

function onTraffic({ at, up, down, ok, failed, refused, tunnels, connections }: Traffic): void {
  batch(() => {
    addSample({ at: at / 1000, up, down, ok, failed });
    const now = status.peek();
    if (now !== undefined) status.value = { ...now, traffic: { up, down, ok, failed, refused, tunnels, connections } };
  });
}

function onCounts({ nodes, exits }: Counts): void {
  const now = status.peek();
  if (now !== undefined) status.value = { ...now, nodes, exits };
}

function onAlert(alert: Alert): void {
  const next = new Map(alerts.peek());
  if (alert.active) next.set(alert.alert, alert);
  else next.delete(alert.alert);
  alerts.value = next;
  void refresh();
}

function listen(): EventSource {
  const source = new EventSource("/api/v1/events?topics=counts,traffic,nodes,alerts");
  const on = <T>(topic: string, handle: (data: T) => void) => {
    source.addEventListener(topic, (event: MessageEvent<string>) => handle(JSON.parse(event.data) as T));
  };
  source.addEventListener("open", () => {
    connected.value = true;
    offline.value = false;
  });
  source.addEventListener("error", () => {
    connected.value = false;
    // An address that refuses is not tried again by the browser; the state is asked for instead, and says why.
    void refresh();
  });
  on<Traffic>("traffic", onTraffic);
  on<Counts>("counts", onCounts);
  on<Alert>("alerts", onAlert);
  on<unknown>("nodes", () => (nodesChanged.value += 1));
  on<unknown>("reset", () => {
    before = undefined;
    nodesChanged.value += 1;
    void refresh();
  });
  return source;
}

// Begins to follow the instance; the result ends it.
function start(): () => void {
  let source = listen();
  let asked = 0;
  void refresh();
  const timer = setInterval(() => {
    if (document.visibilityState !== "visible") return;
    if (source.readyState === EventSource.CLOSED) source = listen();
    asked += POLL_MS;
    if (connected.peek() && asked < POLL_WITH_EVENTS_MS) return;
    asked = 0;
    void refresh();
  }, POLL_MS);
  return () => {
    clearInterval(timer);
    source.close();
    connected.value = false;
  };
}

export const live = { status, samples, alerts, failure, nodesChanged, connected, refresh, start };
