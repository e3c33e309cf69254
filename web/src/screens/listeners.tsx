// Addresses that clients use, each over a part of the pool.

import type { StoredObject } from "../api/types";
import { t } from "../i18n";
import { CopyButton, QrButton } from "../ui/copy";
import type { Field } from "../ui/form";
import { Address } from "../ui/node";
import type { Column } from "../ui/table";
import { nameColumn, ObjectsScreen, originColumn, problemColumn, text } from "./objects";

const STRATEGIES = ["smart", "round-robin", "random", "least-latency", "least-connections", "consistent-hash", "sticky", "fastest"];

function columns(): readonly Column<StoredObject>[] {
  const c = t().listeners;
  return [
    nameColumn(c.name),
    {
      id: "address",
      label: c.address,
      width: "minmax(9rem, 1.4fr)",
      sort: (row) => row.address,
      text: (row) => row.address ?? text(row, "listen"),
      cell: (row) => <Address text={row.address ?? text(row, "listen")} />,
    },
    { id: "strategy", label: c.strategy, width: "8rem", priority: 2, text: (row) => text(row, "strategy"), cell: (row) => <code>{text(row, "strategy")}</code> },
    { id: "countries", label: c.countries, width: "minmax(5rem, 1fr)", priority: 2, text: (row) => text(row, "countries"), cell: (row) => <bdi>{text(row, "countries")}</bdi> },
    { id: "tags", label: c.tags, width: "minmax(5rem, 1fr)", priority: 3, text: (row) => text(row, "tags"), cell: (row) => <code dir="ltr">{text(row, "tags")}</code> },
    originColumn(),
    problemColumn(),
  ];
}

function fields(object: StoredObject | undefined): readonly Field[] {
  const c = t().listeners;
  const name: Field = { name: "name", label: c.name, kind: "text", required: true };
  return [
    ...(object === undefined ? [name] : []),
    { name: "listen", label: c.address, kind: "text", placeholder: "127.0.0.1:8001", required: object === undefined },
    { name: "strategy", label: c.strategy, kind: "select", options: [["", c.asProxy], ...STRATEGIES.map((strategy) => [strategy, strategy] as const)] },
    { name: "countries", label: c.countries, kind: "list", placeholder: "DE, NL" },
    { name: "sources", label: c.sources, kind: "list" },
    { name: "schemes", label: c.schemes, kind: "list", placeholder: "vless, trojan" },
    { name: "tags", label: c.tags, kind: "text", placeholder: "paid & !slow" },
    { name: "max_latency", label: c.maxLatency, kind: "text", placeholder: "800ms" },
    { name: "top", label: c.top, kind: "number", placeholder: "50" },
    { name: "allow_insecure", label: c.allowInsecure, kind: "check" },
  ];
}

export function ListenersScreen() {
  const c = t().listeners;
  return (
    <ObjectsScreen
      kind="listener"
      name="listeners"
      label={t().screens.listeners}
      add={c.add}
      empty={c.empty}
      columns={columns()}
      fields={fields}
      details={(object) =>
        object.address && (
          <div class="row">
            <Address text={object.address} />
            <CopyButton text={object.address} />
            <QrButton text={`http://${object.address}`} label={object.name} />
          </div>
        )
      }
    />
  );
}
