// Short names for the shapes of the API.

import type { components } from "./schema";

type Schemas = components["schemas"];

// Members that have a default for readers of earlier versions; the instance that serves the page sends all of them.
type Sent<T, K extends keyof T> = Omit<T, K> & { [P in K]-?: NonNullable<T[P]> };

export type Status = Sent<Schemas["StatusDto"], "exits" | "traffic" | "troubles" | "store"> & { nodes: Required<Schemas["StateCounts"]> };
export type ProbeRequest = Schemas["ProbeRequest"];
export type FetchRequest = Schemas["FetchRequest"];
export type Node = Schemas["NodeDto"];
export type Source = Schemas["SourceDto"];
export type Session = Schemas["SessionDto"];
export type Ban = Schemas["BanDto"];
export type Explanation = Schemas["ExplainDto"];
export type TestReport = Schemas["TestReport"];
export type AddReport = Schemas["AddReport"];
export type Traffic = Schemas["TrafficEvent"];
export type Counts = { nodes: Required<Schemas["StateCounts"]>; exits: number };
export type Alert = Schemas["AlertEvent"];
export type Connection = Schemas["ConnectionDto"];
export type LogLine = Schemas["LogLineDto"];
export type ConnectionsFilter = Schemas["ConnectionsFilter"];
export type Exit = Schemas["ExitDto"];
export type NodeMarks = Schemas["NodeMarks"];
export type MarkRequest = Schemas["MarkRequest"];
export type NodesFilter = Schemas["NodesFilter"];
export type RemoveRequest = Schemas["RemoveRequest"];
export type StoredObject = Schemas["ObjectDto"];
export type PreviewRequest = Schemas["PreviewRequest"];
export type PreviewReport = Schemas["PreviewReport"];
export type ApiToken = Schemas["TokenDto"];
export type NewToken = Schemas["NewTokenDto"];
export type AuditLine = Schemas["AuditDto"];
export type Setting = Schemas["SettingDto"];
export type CodeInfo = Schemas["CodeDto"];
export type History = Schemas["HistoryDto"];
export type HistoryPoint = Schemas["HistoryPointDto"];
export type NodeProbe = Schemas["NodeProbeDto"];
export type Job = Schemas["JobDto"];
export type Instance = Schemas["InstanceDto"];
export type SiteBan = Schemas["SiteBanDto"];
export type SiteBanRequest = Schemas["SiteBanRequest"];
export type SiteBansFilter = Schemas["SiteBansFilter"];
export type SiteEvidence = Schemas["SiteEvidenceDto"];
