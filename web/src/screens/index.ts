// Every screen with its name in the address and in the navigation.

import type { ComponentType } from "preact";

import { t } from "../i18n";
import { AuditScreen } from "./audit";
import { BansScreen } from "./bans";
import { ConnectionsScreen } from "./connections";
import { ExitsScreen } from "./exits";
import { ExplainScreen } from "./explain";
import { FirstStart } from "./first-start";
import { InstancesScreen } from "./instances";
import { JobsScreen } from "./jobs";
import { ListenersScreen } from "./listeners";
import { LogScreen } from "./log";
import { NodesScreen } from "./nodes";
import { Overview } from "./overview";
import { SessionsScreen } from "./sessions";
import { SettingsScreen } from "./settings";
import { SourcesScreen } from "./sources";
import { SubscriptionsScreen } from "./subscriptions";
import { TokensScreen } from "./tokens";
import { UsersScreen } from "./users";

interface Screen {
  readonly view: ComponentType;
  readonly label: () => string;
}

const screen = (view: ComponentType, name: keyof ReturnType<typeof t>["screens"]): Screen => ({ view, label: () => t().screens[name] });

export const screens: Readonly<Record<string, Screen>> = {
  overview: screen(Overview, "overview"),
  start: screen(FirstStart, "start"),
  nodes: screen(NodesScreen, "nodes"),
  sources: screen(SourcesScreen, "sources"),
  audit: screen(AuditScreen, "audit"),
  exits: screen(ExitsScreen, "exits"),
  listeners: screen(ListenersScreen, "listeners"),
  settings: screen(SettingsScreen, "settings"),
  subscriptions: screen(SubscriptionsScreen, "subscriptions"),
  tokens: screen(TokensScreen, "tokens"),
  users: screen(UsersScreen, "users"),
  bans: screen(BansScreen, "bans"),
  connections: screen(ConnectionsScreen, "connections"),
  instances: screen(InstancesScreen, "instances"),
  jobs: screen(JobsScreen, "jobs"),
  log: screen(LogScreen, "log"),
  sessions: screen(SessionsScreen, "sessions"),
  explain: screen(ExplainScreen, "explain"),
};

export function groups(): readonly { readonly label: string; readonly screens: readonly string[] }[] {
  const labels = t().groups;
  return [
    { label: labels.state, screens: ["overview", "start"] },
    { label: labels.pool, screens: ["nodes", "exits", "sources", "bans"] },
    { label: labels.traffic, screens: ["connections", "sessions", "explain"] },
    { label: labels.access, screens: ["users", "listeners", "subscriptions", "tokens"] },
    { label: labels.system, screens: ["settings", "instances", "jobs", "audit", "log"] },
  ];
}
