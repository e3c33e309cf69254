//! `hezar cores`: the installed cores of the running instance.

use std::process::ExitCode;

use hezar_api::{CoreDto, CoresDto};

use crate::{cli::JsonArgs, output, remote::Remote};

/// Refused nodes that are shown; `--json` tells more.
const MOST_REFUSED: usize = 20;

pub(super) async fn cores(remote: Remote, JsonArgs { json }: JsonArgs) -> anyhow::Result<ExitCode> {
    let found: CoresDto = remote.get("/api/v1/cores").await?;
    if json {
        output::json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    if found.cores.is_empty() {
        output::line("no core is installed, or none is allowed ([sidecar]; docs/cores.md)")?;
    } else {
        let mut table = output::table(["core", "version", "state", "nodes", "in use", "memory", "starts", "refused"]);
        for core in &found.cores {
            table.add_row(row(core));
        }
        output::line(table.to_string())?;
    }
    for missing in &found.missing {
        let nodes = output::count(missing.nodes, "node");
        output::line(format!("{nodes} could be dialled by {}: {}", missing.name, missing.advice))?;
    }
    for refused in found.refused.iter().take(MOST_REFUSED) {
        output::line(format!("{} refuses {}: {}", refused.core, refused.node, refused.reason))?;
    }
    if found.refused.len() > MOST_REFUSED {
        output::line(format!("and {} more (--json)", found.refused.len() - MOST_REFUSED))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(core: &CoreDto) -> [String; 8] {
    let trouble = core.trouble.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    [
        core.name.clone(),
        core.version.clone().unwrap_or_default(),
        format!("{}{trouble}", core.state),
        format!("{} of {}", core.nodes, core.most_nodes),
        core.nodes_in_use.to_string(),
        if core.memory_bytes == 0 { String::new() } else { format!("{} MiB", core.memory_bytes >> 20) },
        core.starts.to_string(),
        core.refused.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_down_says_why() {
        let core = CoreDto {
            name: "mihomo".into(),
            state: "down".into(),
            trouble: Some("it has ended".into()),
            memory_bytes: 90 << 20,
            ..CoreDto::default()
        };
        let [name, version, state, .., memory, _, _] = row(&core);
        assert_eq!((name.as_str(), version.as_str()), ("mihomo", ""));
        assert_eq!((state.as_str(), memory.as_str()), ("down: it has ended", "90 MiB"));
    }
}
