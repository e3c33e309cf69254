//! `hezar export`: the stored nodes in other forms.

use std::process::ExitCode;

use hezar_core::{Label, NodeSpec};
use hezar_formats::{
    parse_link,
    write::{self, OmittedNode, Written},
};
use hezar_store::{Access, NodeRow};

use crate::{
    cli::{ExportArgs, ExportFormat},
    config::Config,
    output,
};

/// The most nodes that are named as left out.
const MAX_LISTED: usize = 100;

pub(super) async fn export(config: Config, args: ExportArgs) -> anyhow::Result<ExitCode> {
    let store = hezar_store::open_configured(&config.store, &config.data, Access::ReadOnly).await?;
    let state = store.load().await?;
    store.close().await;
    let wanted = |row: &&NodeRow| !args.healthy || row.record.state.routable();
    let rows: Vec<&NodeRow> = state.nodes.iter().filter(wanted).collect();
    let nodes: Vec<_> =
        rows.iter().filter_map(|row| Some((parse_link(row.uri.expose()).ok()?.0, Label::new(&row.label)))).collect();
    let unreadable = rows.len() - nodes.len();
    let borrowed = nodes.iter().map(|(spec, label)| (spec, label));
    let written = match args.format {
        ExportFormat::Links => Written { text: write::links(borrowed), ..Written::default() },
        ExportFormat::Base64 => Written { text: write::base64(borrowed), ..Written::default() },
        ExportFormat::Clash => write::clash(borrowed),
        ExportFormat::SingBox => write::sing_box(borrowed),
    };
    output::line(written.text.trim_end())?;
    list_left_out(&written.left_out, &nodes);
    if unreadable > 0 {
        output::note(format!("left out: {} that cannot be read any more", output::count(unreadable, "node")));
    }
    if nodes.is_empty() {
        output::note("no node fits: `hezar status` says what the sources gave");
    }
    Ok(ExitCode::SUCCESS)
}

/// Names on standard error the nodes that are missing, each with its reason; of many only the first, and how many there are.
fn list_left_out(left_out: &[OmittedNode], nodes: &[(NodeSpec, Label)]) {
    if left_out.is_empty() {
        return;
    }
    output::note(format!("left out: {} that a client would not take", output::count(left_out.len(), "node")));
    let mut table = output::table(["id", "scheme", "server", "name", "because of"]);
    for (OmittedNode { reason, .. }, (spec, label)) in
        left_out.iter().filter_map(|left_out| Some((left_out, nodes.get(left_out.index)?))).take(MAX_LISTED)
    {
        let (id, server) = (spec.id().to_string(), spec.server.to_string());
        table.add_row([id.as_str(), spec.scheme(), &server, label.as_str(), reason.reason()]);
    }
    output::note(table.to_string());
    if left_out.len() > MAX_LISTED {
        output::note(format!("and {} more", left_out.len() - MAX_LISTED));
    }
}
