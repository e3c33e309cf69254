// Fields of the objects that give a part of the pool: listeners and subscriptions.

import { t } from "../../i18n";
import type { Field } from "../../ui/form";

export function poolFields(): readonly Field[] {
  const c = t().listeners;
  return [
    { name: "countries", label: c.countries, kind: "list", placeholder: "DE, NL" },
    { name: "sources", label: c.sources, kind: "list" },
    { name: "schemes", label: c.schemes, kind: "list", placeholder: "vless, trojan" },
    { name: "tags", label: c.tags, kind: "text", placeholder: "paid & !slow" },
    { name: "max_latency", label: c.maxLatency, kind: "text", placeholder: "800ms" },
    { name: "top", label: c.top, kind: "number", placeholder: "50" },
    { name: "allow_insecure", label: c.allowInsecure, kind: "check" },
  ];
}
