//! `hezar export`: the stored nodes in other forms.

use std::process::ExitCode;

use hezar_core::Label;
use hezar_formats::{
    parse_link,
    write::{self, Written},
};
use hezar_store::{Access, NodeRow};

use crate::{
    cli::{ExportArgs, ExportFormat},
    config::Config,
    output,
};

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
        ExportFormat::Links => Written { text: write::links(borrowed), left_out: 0 },
        ExportFormat::Base64 => Written { text: write::base64(borrowed), left_out: 0 },
        ExportFormat::Clash => write::clash(borrowed),
        ExportFormat::SingBox => write::sing_box(borrowed),
    };
    output::line(written.text.trim_end())?;
    for (left_out, why) in
        [(written.left_out, "cannot be written in this form"), (unreadable, "cannot be read any more")]
    {
        if left_out > 0 {
            output::note(format!("left out: {} that {why}", output::count(left_out, "node")));
        }
    }
    if nodes.is_empty() {
        output::note("no node fits: `hezar status` says what the sources gave");
    }
    Ok(ExitCode::SUCCESS)
}
