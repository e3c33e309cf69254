// Nodes that must not come back, and exits that are not used for a site for a time.

import { t } from "../../i18n";
import { go, place } from "../../lib/router";
import { Segments } from "../../ui/segments";
import { NodeBans } from "./nodes";
import { SiteBans } from "./sites";

export function BansScreen() {
  const c = t().bans;
  const of = place.value.query.get("of") === "sites" ? "sites" : "nodes";
  return (
    <>
      <div class="row section-head">
        <Segments label={t().screens.bans} chosen={of} names={[["nodes", c.nodes], ["sites", c.sites]]} onChoose={(name) => go("bans", { of: name === "sites" ? name : undefined })} />
      </div>
      {of === "sites" ? <SiteBans /> : <NodeBans />}
    </>
  );
}
