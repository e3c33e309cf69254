//! The steps that install and remove the service, from where everything lies.

use std::path::{Path, PathBuf};

use super::{Scope, Step, unit};
use crate::places::{SYSTEM_DATA, SYSTEM_FILE};

/// The program of a system's service, when the one that runs lies where the service cannot read it.
const SYSTEM_PROGRAM: &str = "/usr/local/bin/hezar";
const SYSTEM_UNITS: &str = "/etc/systemd/system";
const SYSTEM_LOGS: &str = "/var/log/hezar";
/// The user and the group of the system's service.
const ACCOUNT: &str = "hezar";
/// Folders that the system's service does not see (ProtectHome=, PrivateTmp= of its unit).
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// What an installation is made of.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    pub(crate) scope: Scope,
    /// This program's file.
    pub(crate) program: PathBuf,
    /// The folder of a user's units; unused for the system.
    pub(crate) user_units: PathBuf,
    /// The configuration file of a user's service; unused for the system.
    pub(crate) config: PathBuf,
    /// The data folder of a user's service; unused for the system.
    pub(crate) data: PathBuf,
    /// What is written where there is no configuration yet.
    pub(crate) template: String,
    /// Replace units that somebody has changed.
    pub(crate) force: bool,
    /// Start the service at once, beside at every boot or login.
    pub(crate) start: bool,
}

/// The steps that install and start the service.
pub(crate) fn install(installation: &Installation) -> Vec<Step> {
    match installation.scope {
        Scope::System => install_system(installation),
        Scope::User => install_user(installation),
    }
}

fn install_system(installation: &Installation) -> Vec<Step> {
    let mut steps = Vec::new();
    let program = system_program(&installation.program);
    if program != installation.program {
        steps.push(Step::CopyProgram { from: installation.program.clone(), to: program.clone() });
    }
    steps.push(Step::run(["systemd-sysusers", "--inline", unit::user_line()]));
    // Nobody else may read the configuration, which holds passwords, and the service must not change it.
    let folder = Path::new(SYSTEM_FILE).parent().unwrap_or(Path::new("/")).display().to_string();
    steps.push(Step::run(["install", "--directory", "--mode=0750", "--owner=root", "--group=hezar", &*folder]));
    steps.push(Step::File { path: SYSTEM_FILE.into(), text: installation.template.clone() });
    steps.push(Step::run(["chown", "root:hezar", SYSTEM_FILE]));
    steps.push(Step::run(["chmod", "0640", SYSTEM_FILE]));
    for (name, text) in unit::SYSTEM {
        let text = unit::adapted(text, &program, &[]);
        steps.push(Step::Unit { path: Path::new(SYSTEM_UNITS).join(name), text, force: installation.force });
    }
    steps.extend(start(installation, &["hezar.service", "hezar-backup.timer"]));
    steps
}

/// The steps that let the system's service open ports below 1024.
pub(crate) fn open_low_ports() -> Vec<Step> {
    let path = Path::new(SYSTEM_UNITS).join(unit::LOW_PORTS.0);
    vec![
        Step::Folder(path.parent().unwrap_or(Path::new("/")).to_owned()),
        Step::Unit { path, text: unit::LOW_PORTS.1.to_owned(), force: false },
        Step::run(Scope::System.systemctl(&["daemon-reload"])),
    ]
}

fn install_user(installation: &Installation) -> Vec<Step> {
    let folder = |file: &Path| Step::Folder(file.parent().unwrap_or(Path::new("/")).to_owned());
    let variables = [("HEZAR_CONFIG", &*installation.config), ("HEZAR_DATA", &*installation.data)];
    let text = unit::adapted(unit::USER.1, &installation.program, &variables);
    let path = installation.user_units.join(unit::USER.0);
    let mut steps = vec![
        folder(&installation.config),
        Step::File { path: installation.config.clone(), text: installation.template.clone() },
        Step::Folder(installation.user_units.clone()),
        Step::Unit { path, text, force: installation.force },
    ];
    steps.extend(start(installation, &["hezar.service"]));
    steps
}

/// Lets systemd read the units and start these, now and at every boot or login.
fn start(installation: &Installation, units: &[&str]) -> [Step; 2] {
    let enable: &[&str] = if installation.start { &["enable", "--now"] } else { &["enable"] };
    let scope = installation.scope;
    [Step::run(scope.systemctl(&["daemon-reload"])), Step::run(scope.systemctl(&[enable, units].concat()))]
}

/// Whether the service that is installed has these data and this configuration, so that they may be removed with it.
pub(crate) fn is_of(installation: &Installation) -> bool {
    if installation.scope == Scope::System {
        return true;
    }
    let text = std::fs::read_to_string(installation.user_units.join(unit::USER.0)).unwrap_or_default();
    unit::has_variable(&text, "HEZAR_DATA", &installation.data)
        && unit::has_variable(&text, "HEZAR_CONFIG", &installation.config)
}

/// The steps that undo an installation. Data, configuration and logs stay without `purge`.
pub(crate) fn uninstall(installation: &Installation, purge: bool) -> Vec<Step> {
    let scope = installation.scope;
    let (folder, names): (&Path, Vec<&str>) = match scope {
        Scope::System => (Path::new(SYSTEM_UNITS), unit::SYSTEM.iter().map(|(name, _)| *name).collect()),
        Scope::User => (&installation.user_units, vec![unit::USER.0]),
    };
    // The socket before the service that it would start again.
    let mut to_end: Vec<&str> = names.iter().copied().filter(|name| *name != "hezar-backup.service").collect();
    to_end.sort_by_key(|name| !name.ends_with(".socket"));
    let mut steps = vec![Step::attempt(scope.systemctl(&[&["disable", "--now"], &*to_end].concat()))];
    steps.extend(names.iter().map(|name| Step::RemoveUnit(folder.join(name))));
    if scope == Scope::System {
        steps.push(Step::RemoveUnit(folder.join(unit::LOW_PORTS.0)));
    }
    steps.push(Step::run(scope.systemctl(&["daemon-reload"])));
    if !purge {
        return steps;
    }
    match scope {
        Scope::System => {
            let folders = [Path::new(SYSTEM_FILE).parent().unwrap_or(Path::new(SYSTEM_FILE)), Path::new(SYSTEM_DATA)];
            steps.extend(folders.into_iter().chain([Path::new(SYSTEM_LOGS)]).map(|folder| Step::Remove(folder.into())));
            steps.push(Step::attempt(["userdel", ACCOUNT]));
        }
        Scope::User => {
            steps.extend([Step::Remove(installation.data.clone()), Step::Remove(installation.config.clone())]);
        }
    }
    steps
}

/// Where the system's service finds the program.
fn system_program(program: &Path) -> PathBuf {
    if HIDDEN.iter().any(|folder| program.starts_with(folder)) { SYSTEM_PROGRAM.into() } else { program.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation(scope: Scope, program: &str) -> Installation {
        Installation {
            scope,
            program: program.into(),
            user_units: "/home/a/.config/systemd/user".into(),
            config: "/home/a/.config/hezar/hezar.toml".into(),
            data: "/home/a/.local/share/hezar".into(),
            template: "# settings\n".into(),
            force: false,
            start: true,
        }
    }

    fn plans(steps: &[Step]) -> String {
        steps.iter().map(|step| step.plan() + "\n").collect()
    }

    #[test]
    fn a_program_that_the_service_cannot_read_is_copied() {
        for (program, copied) in [
            ("/root/hezar", true),
            ("/home/a/venv/bin/hezar", true),
            ("/usr/local/bin/hezar", false),
            ("/opt/hezar", false),
        ] {
            let steps = install(&installation(Scope::System, program));
            assert_eq!(matches!(steps[0], Step::CopyProgram { .. }), copied, "{program}");
            let path = if copied { SYSTEM_PROGRAM } else { program };
            assert!(plans(&steps).contains(&format!("ExecStart={path} run\n")), "{program}");
        }
    }

    #[test]
    fn the_users_service_has_the_users_paths_and_no_command_for_root() {
        let text = plans(&install(&installation(Scope::User, "/home/a/bin/hezar")));
        for part in [
            "write /home/a/.config/systemd/user/hezar.service:",
            "Environment=HEZAR_CONFIG=/home/a/.config/hezar/hezar.toml HEZAR_DATA=/home/a/.local/share/hezar\n",
            "ExecStart=/home/a/bin/hezar run\n",
            "run: systemctl --user enable --now hezar.service\n",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("sysusers") && !text.contains("/etc/"), "{text}");
    }

    #[test]
    fn what_is_installed_is_removed_and_data_only_by_purge() {
        for scope in [Scope::System, Scope::User] {
            let installation = installation(scope, "/usr/local/bin/hezar");
            let kept = plans(&uninstall(&installation, false));
            let low_ports = if scope == Scope::System { open_low_ports() } else { Vec::new() };
            for step in install(&installation).into_iter().chain(low_ports) {
                if let Step::Unit { path, .. } = step {
                    assert!(kept.contains(&format!("remove {}\n", path.display())), "{} stays", path.display());
                }
            }
            let data = if scope == Scope::System { SYSTEM_DATA } else { "/home/a/.local/share/hezar" };
            let removal = format!("remove {data}\n");
            assert!(!kept.contains(&removal) && plans(&uninstall(&installation, true)).contains(&removal));
        }
    }
}
