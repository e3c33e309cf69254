//! `hezar cluster`: the instances that share a store.

use std::process::ExitCode;

use anyhow::anyhow;
use hezar_api::{DrainReport, InstanceDto};
use hezar_core::Role;
use hyper::StatusCode;

use super::remote::percent_encoded;
use crate::{
    cli::{ClusterArgs, ClusterCommand, JsonArgs, NamedArgs},
    output,
    remote::{Refused, Remote},
};

/// The path of the instances.
const PATH: &str = "/api/v1/instances";

pub(super) async fn cluster(remote: Remote, args: ClusterArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        None => list(&remote, args.output).await,
        Some(ClusterCommand::Drain(args)) => drain(&remote, args, "drain").await,
        Some(ClusterCommand::Undrain(args)) => drain(&remote, args, "undrain").await,
    }
}

async fn list(remote: &Remote, JsonArgs { json }: JsonArgs) -> anyhow::Result<ExitCode> {
    let instances: Vec<InstanceDto> = remote.get(PATH).await?;
    if json {
        instances.iter().try_for_each(output::json)?;
    } else {
        output::line(table(&instances, output::terminal_columns()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The instances, one a line, for a terminal of so many columns.
fn table(instances: &[InstanceDto], columns: Option<u16>) -> String {
    let header = ["name", "roles", "region", "state", "tunnels", "probes", "queue", "lag", "cpu", "version"];
    let mut table = output::list_in(header, 1, columns);
    for instance in instances {
        output::add_line(&mut table, cells(instance));
    }
    table.to_string()
}

fn cells(instance: &InstanceDto) -> [String; 10] {
    let unknown = || "–".to_owned();
    let roles = if instance.roles.len() == Role::ALL.len() { "all".to_owned() } else { instance.roles.join(",") };
    [
        instance.name.clone(),
        roles,
        if instance.region.is_empty() { unknown() } else { instance.region.clone() },
        instance.state.clone(),
        instance.tunnels.to_string(),
        instance.owned.to_string(),
        instance.queue.to_string(),
        instance.lag_ms.map_or_else(unknown, |lag| format!("{lag} ms")),
        instance.cpu_percent.map_or_else(unknown, |percent| format!("{percent} %")),
        instance.version.clone(),
    ]
}

async fn drain(remote: &Remote, args: NamedArgs, action: &str) -> anyhow::Result<ExitCode> {
    let path = format!("{PATH}/{}/{action}", percent_encoded(&args.name));
    let report: DrainReport = remote.post(&path, "").await.map_err(|error| explained(error, &args.name))?;
    if args.output.json {
        output::json(&report)?;
    } else {
        output::line(if report.draining {
            format!("{} takes no new clients within two seconds; open tunnels go on until they end", report.name)
        } else {
            format!("{} is in use again within two seconds", report.name)
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which instance is not there.
fn explained(error: anyhow::Error, name: &str) -> anyhow::Error {
    let is_absent = error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == StatusCode::NOT_FOUND);
    if is_absent { anyhow!("there is no instance named {name:?}; `hezar cluster` shows their names") } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_a_terminal_and_names_stay_whole() {
        let all = || vec!["fetch".to_owned(), "probe".to_owned(), "gateway".to_owned(), "api".to_owned()];
        let instance = |number: usize| InstanceDto {
            name: format!("gateway-{number}-of-frankfurt"),
            roles: all().into_iter().skip(number).collect(),
            region: "frankfurt".to_owned(),
            state: "draining".to_owned(),
            version: "0.12.34".to_owned(),
            tunnels: 123_456,
            owned: 1_000_000,
            queue: 1_000_000,
            lag_ms: Some(1_234),
            cpu_percent: Some(1_600),
            ..InstanceDto::default()
        };
        let instances: Vec<_> = (0..4).map(instance).collect();
        let text = table(&instances, Some(80));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
        for instance in &instances {
            assert!(text.contains(&instance.name), "{text}");
        }
        let wide = table(&instances, None);
        assert!(wide.contains("all") && wide.contains("gateway,api") && wide.contains("1234 ms"), "{wide}");
    }
}
