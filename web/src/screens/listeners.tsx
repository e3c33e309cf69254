// Addresses that clients use, each over a part of the pool.

import type { StoredObject } from "../api/types";
import { t } from "../i18n";
import { CopyButton, QrButton } from "../ui/copy";
import type { Field } from "../ui/form";
import { Address } from "../ui/node";
import type { Column } from "../ui/table";
import { nameColumn, ObjectsScreen, originColumn, poolFields, problemColumn, text, textColumn } from "./objects";

const STRATEGIES = ["smart", "round-robin", "random", "least-latency", "least-connections", "consistent-hash", "sticky", "fastest"];

function columns(): readonly Column<StoredObject>[] {
  const c = t().listeners;
  return [
    nameColumn(c.name),
    {
      id: "address",
      label: c.address,
      width: "minmax(9rem, 1.4fr)",
      text: (row) => row.address ?? text(row, "listen"),
      cell: (row) => <Address text={row.address ?? text(row, "listen")} />,
    },
    textColumn("strategy", c.strategy, 2),
    textColumn("countries", c.countries, 2),
    textColumn("tags", c.tags, 3),
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
    ...poolFields(),
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
