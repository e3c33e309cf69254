// A table of objects with a form for making and changing them. What the configuration file says is shown and changed there.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import type { StoredObject } from "../../api/types";
import { fill, t } from "../../i18n";
import { useResource, type Resource } from "../../lib/resource";
import { place, setQuery } from "../../lib/router";
import { Confirm, Dialog } from "../../ui/dialog";
import { Form, type Field } from "../../ui/form";
import { IconButton } from "../../ui/icon";
import { Empty } from "../../ui/states";
import { DataTable, type Column, type Filter } from "../../ui/table";
import { attempt } from "../../ui/toast";
import { changeObject, createObject, loadObjects, removeObject, toValues, type Kind } from "./api";

const REFRESH_MS = 5000;

interface Props {
  readonly kind: Kind;
  readonly name: string;
  readonly label: string;
  readonly add: string;
  readonly empty: string;
  readonly columns: readonly Column<StoredObject>[];
  readonly fields: (object: StoredObject | undefined) => readonly Field[];
  // Buttons of a row besides edit and remove, and what else its details show.
  readonly actions?: (object: StoredObject, changed: () => void) => ComponentChildren;
  readonly actionsWidth?: string;
  readonly actionsOnlyWide?: boolean;
  readonly details?: (object: StoredObject) => ComponentChildren;
}

// Where an object is said: a line of the file, or the store.
function Origin({ object }: { readonly object: StoredObject }) {
  const c = t().objects;
  if (object.origin === "store") return <span class="badge plain">{c.store}</span>;
  return <span class="badge plain">{object.line ? fill(c.fileLine, { n: object.line }) : c.file}</span>;
}

export function nameColumn(label: string): Column<StoredObject> {
  return {
    id: "name",
    label,
    width: "minmax(8rem, 2fr)",
    sort: (row) => row.name,
    text: (row) => row.name,
    cell: (row) => (
      <button type="button" class="link" onClick={() => setQuery({ open: row.name })}>
        <bdi>{row.name}</bdi>
      </button>
    ),
  };
}

export function originColumn(): Column<StoredObject> {
  return { id: "origin", label: t().objects.origin, width: "8rem", priority: 3, sort: (row) => row.origin, text: (row) => row.origin, cell: (row) => <Origin object={row} /> };
}

export function problemColumn(): Column<StoredObject> {
  return { id: "problem", label: t().objects.problem, width: "minmax(5rem, 1fr)", priority: 2, text: (row) => row.problem ?? "", cell: (row) => <span class="bad" title={row.problem ?? ""}>{row.problem ?? ""}</span> };
}

export function member(object: StoredObject, name: string): unknown {
  return toValues(object.value)[name];
}

export function text(object: StoredObject, name: string): string {
  const given = member(object, name);
  return given === null || given === undefined ? "" : Array.isArray(given) ? given.join(", ") : String(given);
}

export function ObjectsScreen(props: Props) {
  const objects = useResource(props.kind, (signal) => loadObjects(props.kind, signal), REFRESH_MS);
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<string | undefined>(undefined);
  const opened = place.value.query.get("open");
  const object = objects.value?.find((one) => one.name === opened);
  const c = t().objects;
  const origins: Filter<StoredObject> = {
    id: "origin",
    label: c.allOrigins,
    options: [["file", c.file], ["store", c.store]],
    matches: (row, value) => row.origin === value,
  };
  return (
    <>
      <DataTable
        name={props.name}
        label={props.label}
        columns={props.columns}
        rows={objects.value}
        rowKey={(row) => row.name}
        filters={[origins]}
        error={objects.error}
        reload={objects.reload}
        actions={(row) => (
          <>
            {props.actions?.(row, objects.reload)}
            <IconButton label={c.edit} of={row.name} icon="✎" onClick={() => setQuery({ open: row.name })} />
            <IconButton label={c.remove} of={row.name} icon="✕" disabled={row.origin !== "store"} onClick={() => setRemoving(row.name)} />
          </>
        )}
        actionsWidth={props.actionsWidth ?? "5.4rem"}
        actionsOnlyWide={props.actionsOnlyWide ?? true}
        toolbar={
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            {props.add}
          </button>
        }
        empty={
          <Empty text={props.empty}>
            <button type="button" onClick={() => setAdding(true)}>
              {props.add}
            </button>
          </Empty>
        }
      />
      {adding && <Add {...props} objects={objects} onClose={() => setAdding(false)} />}
      {object && <Edit {...props} object={object} objects={objects} onClose={() => setQuery({ open: undefined })} />}
      {removing !== undefined && (
        <Confirm
          title={c.remove}
          text={fill(c.removeText, { name: removing })}
          action={c.remove}
          onConfirm={() => void attempt(() => removeObject(props.kind, removing), c.removed).then(objects.reload)}
          onClose={() => setRemoving(undefined)}
        />
      )}
    </>
  );
}

type Loaded = Props & { readonly objects: Resource<readonly StoredObject[]>; readonly onClose: () => void };

function Add({ kind, add, fields, objects, onClose }: Loaded) {
  return (
    <Dialog title={add} onClose={onClose}>
      <Form
        fields={fields(undefined)}
        initial={{ enabled: true, allow_insecure: true }}
        action={add}
        onCancel={onClose}
        onSubmit={async (values) => {
          await createObject(kind, values);
          onClose();
          objects.reload();
        }}
      />
    </Dialog>
  );
}

function Edit({ kind, fields, details, object, objects, onClose }: Loaded & { readonly object: StoredObject }) {
  const c = t().objects;
  return (
    <Dialog title={object.name} onClose={onClose} wide>
      <div class="stack">
        <p>
          <Origin object={object} /> {object.problem && <span class="bad">{object.problem}</span>}
        </p>
        {details?.(object)}
        {object.origin === "store" ? (
          <Form
            fields={fields(object)}
            initial={toValues(object.value)}
            action={t().common.save}
            onCancel={onClose}
            onSubmit={async (values) => {
              await changeObject(kind, object.name, values);
              onClose();
              objects.reload();
            }}
          />
        ) : (
          <>
            <p class="hint">{c.inFile}</p>
            <dl class="facts">
              {Object.entries(toValues(object.value)).map(([name]) => (
                <>
                  <dt>
                    <code>{name}</code>
                  </dt>
                  <dd>
                    <code dir="ltr">{text(object, name)}</code>
                  </dd>
                </>
              ))}
            </dl>
          </>
        )}
      </div>
    </Dialog>
  );
}
