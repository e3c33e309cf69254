//! `hezar install-service` and `hezar uninstall-service`: Hezar as a service of systemd.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};

use super::GlobalArgs;
use crate::{
    cli::{InstallServiceArgs, ScopeArgs, UninstallServiceArgs},
    config::template,
    exposure, output,
    running::Running,
    service::{self, Installation, Outcome, Scope, Step},
};

pub(super) fn install(global: &GlobalArgs, args: &InstallServiceArgs) -> anyhow::Result<ExitCode> {
    let scope = scope(args.scope);
    let mut installation = installation(global, scope)?;
    (installation.force, installation.start) = (args.force, !args.no_start);
    if args.dry_run {
        return plan(scope, &service::install(&installation));
    }
    service::check(scope)?;
    let is_running = service::is_running(scope);
    if scope == Scope::User
        && installation.start
        && !is_running
        && let Some(other) = Running::in_folder(&installation.data)
    {
        bail!(
            "an instance runs already with the data folder {}: end it first, or use --no-start",
            other.data.display()
        );
    }
    let performed = perform(&service::install(&installation));
    if performed.is_err() && installation.start {
        output::note(service::last_log(scope));
    }
    let is_changed = performed?;
    if is_running && is_changed {
        output::line("the service runs on as it was started; to use what has changed: systemctl restart hezar")?;
    }
    output::line(match (scope, installation.start) {
        (_, false) => "installed; it starts at the next boot or login",
        (Scope::System, true) => "it runs: sudo hezar status; its log: journalctl --unit hezar",
        (Scope::User, true) => "it runs: hezar status; its log: journalctl --user --unit hezar",
    })?;
    if scope == Scope::User {
        output::line("to let it run while you are not logged in, too: loginctl enable-linger")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn uninstall(global: &GlobalArgs, args: &UninstallServiceArgs) -> anyhow::Result<ExitCode> {
    let scope = scope(args.scope);
    let installation = installation(global, scope)?;
    let steps = service::uninstall(&installation, args.purge);
    if args.dry_run {
        return plan(scope, &steps);
    }
    service::check(scope)?;
    if args.purge && !service::is_of(&installation) {
        bail!(
            "the service is not installed with the data folder {}: name its configuration with --config",
            installation.data.display()
        );
    }
    perform(&steps)?;
    if !args.purge {
        output::line("configuration and data stay; --purge removes them as well")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the command line says, else the system for root and the user for everybody else.
fn scope(args: ScopeArgs) -> Scope {
    if args.system || (!args.user && exposure::is_root()) { Scope::System } else { Scope::User }
}

fn installation(global: &GlobalArgs, scope: Scope) -> anyhow::Result<Installation> {
    let absolute = |path: PathBuf| std::path::absolute(&path).with_context(|| format!("{}", path.display()));
    let found = global.places.file.clone();
    let user_config =
        || found.clone().or_else(|| global.user.config_file()).context("there is no home folder: set HOME");
    let (config, data) = match scope {
        // The system's own places; what the user has configured is copied there.
        Scope::System => (PathBuf::new(), PathBuf::new()),
        Scope::User => (absolute(user_config()?)?, absolute(global.reader().data_folder())?),
    };
    let template = match &found {
        Some(file) if scope == Scope::System => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        _ => template(),
    };
    let program = std::env::current_exe().context("cannot tell where this program lies")?;
    let user_units = global.user.units().unwrap_or_default();
    Ok(Installation { scope, program, user_units, config, data, template, force: false, start: true })
}

/// Prints what would be done.
fn plan(scope: Scope, steps: &[Step]) -> anyhow::Result<ExitCode> {
    if let Err(error) = service::check(scope) {
        output::note(format!("as things are it would fail: {error}"));
    }
    steps.iter().try_for_each(|step| output::line(format!("would {}", step.plan())))?;
    Ok(ExitCode::SUCCESS)
}

/// Does every step and says what became of it. Gives whether anything but commands has changed something.
fn perform(steps: &[Step]) -> anyhow::Result<bool> {
    let mut is_changed = false;
    for step in steps {
        let outcome = step.perform()?;
        is_changed |= matches!(outcome, Outcome::Done(_)) && !matches!(step, Step::Run { .. });
        let (Outcome::Done(text) | Outcome::Left(text)) = outcome;
        output::line(text)?;
    }
    Ok(is_changed)
}
