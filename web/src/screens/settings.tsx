// Every setting: what it means, what is in force, where that is said. What the store may say is changed here.

import { useState } from "preact/hooks";

import { api, done, value } from "../api/client";
import type { Setting } from "../api/types";
import { fill, t, word } from "../i18n";
import { useResource } from "../lib/resource";
import { place, setQuery } from "../lib/router";
import { count } from "../lib/format";
import { Dialog } from "../ui/dialog";
import { Form, type Field } from "../ui/form";
import { Icon } from "../ui/icon";
import { Empty } from "../ui/states";
import { English } from "../ui/english";
import { DataTable, type Column, type Filters } from "../ui/table";
import { attempt, notify } from "../ui/toast";

function shown(given: unknown): string {
  if (given === null || given === undefined) return "";
  return typeof given === "string" ? given : JSON.stringify(given);
}

function columns(): readonly Column<Setting>[] {
  const c = t().settings;
  return [
    {
      id: "key",
      label: c.key,
      width: "minmax(10rem, 1.3fr)",
      sort: (row) => row.key,
      text: (row) => row.key,
      cell: (row) => (
        <button type="button" class="link" onClick={() => setQuery({ open: row.key })}>
          <code dir="ltr">{row.key}</code>
        </button>
      ),
    },
    { id: "value", label: c.value, width: "minmax(6rem, 1fr)", text: (row) => shown(row.value), cell: (row) => <code dir="ltr">{shown(row.value)}</code> },
    { id: "origin", label: c.origin, width: "7rem", priority: 2, sort: (row) => row.origin, text: (row) => row.origin, cell: (row) => <span class={row.origin === "default" ? "muted" : "badge plain"}>{word(c.origins, row.origin)}</span> },
    { id: "about", label: c.about, width: "minmax(10rem, 3fr)", priority: 3, text: (row) => row.about, cell: (row) => <English text={row.about} /> },
  ];
}

function filters(settings: readonly Setting[]): Filters<Setting> {
  const c = t().settings;
  const sections = [...new Set(settings.map((row) => row.key.split(".")[0] ?? ""))];
  const origins = ["default", "file", "environment", "flag", "store"];
  return [
    { id: "section", label: c.section, options: sections.map((name) => [name, name] as const), matches: (row, section) => row.key.startsWith(`${section}.`) },
    { id: "origin", label: c.origin, options: origins.map((name) => [name, word(c.origins, name)] as const), matches: (row, origin) => row.origin === origin },
  ];
}

// Lets the instance read its configuration file again, as `hezar reload` does.
async function reload(): Promise<void> {
  const { changed } = await value(api.POST("/api/v1/reload"));
  notify(changed.length === 0 ? t().settings.unchanged : fill(t().settings.reloaded, { n: count(changed.length) }));
}

export function SettingsScreen() {
  const settings = useResource("settings", (signal) => value(api.GET("/api/v1/settings", { signal })));
  const opened = place.value.query.get("open");
  const setting = settings.value?.find((row) => row.key === opened);
  return (
    <>
      <DataTable
        name="settings"
        label={t().screens.settings}
        columns={columns()}
        rows={settings.value}
        rowKey={(row) => row.key}
        filters={filters(settings.value ?? [])}
        error={settings.error}
        reload={settings.reload}
        toolbar={
          <button type="button" onClick={() => void attempt(reload).then(settings.reload)}>
            <Icon sign="refresh" /> {t().settings.reload}
          </button>
        }
        empty={<Empty text={t().settings.empty} />}
      />
      {setting && <Edit key={setting.key} setting={setting} changed={settings.reload} onClose={() => setQuery({ open: undefined })} />}
    </>
  );
}

// Texts, numbers, switches and lists have a field of their own; everything else is written as the file writes it.
function field(setting: Setting): Field {
  const common = { name: "value", label: t().settings.value, hint: setting.expected };
  if (setting.choices.length > 0) return { ...common, kind: "select", options: setting.choices.map((choice) => [choice, choice] as const) };
  if (setting.types.includes("boolean")) return { ...common, kind: "check" };
  if (setting.types.includes("array")) return { ...common, kind: "list" };
  if (setting.types.includes("string")) return { ...common, kind: "text" };
  return { ...common, kind: "number" };
}

function Edit({ setting, changed, onClose }: { readonly setting: Setting; readonly changed: () => void; readonly onClose: () => void }) {
  const c = t().settings;
  const [busy, setBusy] = useState(false);
  const set = async (given: unknown) => {
    await done(api.PATCH("/api/v1/settings", { body: { [setting.key]: given } }));
    onClose();
    changed();
  };
  const locked = setting.origin === "file" || setting.origin === "environment" || setting.origin === "flag";
  return (
    <Dialog title={setting.key} onClose={onClose}>
      <div class="stack">
        <p>
          <English text={setting.about} />
        </p>
        <dl class="facts">
          <dt>{c.value}</dt>
          <dd>
            <code dir="ltr">{shown(setting.value)}</code>
          </dd>
          <dt>{c.default}</dt>
          <dd>
            <code dir="ltr">{shown(setting.default)}</code>
          </dd>
          <dt>{c.origin}</dt>
          <dd>
            {word(c.origins, setting.origin)} {setting.line && fill(t().objects.fileLine, { n: setting.line })}
          </dd>
        </dl>
        {!setting.changeable && <p class="hint">{c.fixed}</p>}
        {locked && <p class="hint">{c.locked}</p>}
        {setting.changeable && !locked && (
          <Form fields={[field(setting)]} initial={{ value: setting.value as never }} action={t().common.save} onCancel={onClose} onSubmit={(given) => set(given["value"] === undefined ? setting.value : given["value"])} />
        )}
        {setting.origin === "store" && (
          <button
            type="button"
            disabled={busy}
            onClick={() => {
              setBusy(true);
              void attempt(() => set(null), c.reset).then(() => setBusy(false));
            }}
          >
            {c.toDefault}
          </button>
        )}
      </div>
    </Dialog>
  );
}
