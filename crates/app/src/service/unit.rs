//! The texts of the units: those of deploy/systemd, with the paths of this installation.

use std::path::Path;

/// The units of the whole system by their file names.
pub(super) const SYSTEM: [(&str, &str); 4] = [
    ("hezar.service", include_str!("../../../../deploy/systemd/hezar.service")),
    ("hezar.socket", include_str!("../../../../deploy/systemd/hezar.socket")),
    ("hezar-backup.service", include_str!("../../../../deploy/systemd/hezar-backup.service")),
    ("hezar-backup.timer", include_str!("../../../../deploy/systemd/hezar-backup.timer")),
];
/// The unit of one user.
pub(super) const USER: (&str, &str) = ("hezar.service", include_str!("../../../../deploy/systemd/user/hezar.service"));
/// What lets the system's service open ports below 1024, by the name of its file beneath `hezar.service.d`. Capabilities of a user
/// namespace of its own (PrivateUsers=) would not count for the machine's ports.
pub(super) const LOW_PORTS: (&str, &str) = (
    "hezar.service.d/low-ports.conf",
    "[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nCapabilityBoundingSet=CAP_NET_BIND_SERVICE\nPrivateUsers=no\n",
);
const SYSUSERS: &str = include_str!("../../../../deploy/systemd/hezar.sysusers");

/// The path of the program in these texts.
const PROGRAM: &str = "/usr/bin/hezar";
/// Begins the first line of a unit that this program has written; the hash of the rest follows.
const STAMP: &str = "# Written by `hezar install-service`, unchanged while this fits: ";

/// The user of the system's service, as a line of sysusers.d(5).
pub(super) fn user_line() -> &'static str {
    SYSUSERS.lines().find(|line| line.starts_with("u ")).unwrap_or_default()
}

/// The text with another path of the program, and with variables for it to be started with.
pub(super) fn adapted(text: &str, program: &Path, variables: &[(&str, &Path)]) -> String {
    let variables: Vec<_> =
        variables.iter().map(|(name, path)| quoted(&format!("{name}={}", path.display()))).collect();
    let environment =
        if variables.is_empty() { String::new() } else { format!("Environment={}\n", variables.join(" ")) };
    text.replace("ExecStart=", &format!("{environment}ExecStart="))
        .replace(PROGRAM, &quoted(&program.display().to_string()))
}

/// Whether a unit of [`adapted`] gives its program this variable.
pub(super) fn has_variable(text: &str, name: &str, path: &Path) -> bool {
    let variable = quoted(&format!("{name}={}", path.display())) + " ";
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Environment="));
    lines.any(|line| format!("{line} ").contains(&variable))
}

/// A word as systemd.syntax(7) reads it, also with spaces, quotes and percent signs in it.
fn quoted(word: &str) -> String {
    let word = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    if word.contains([' ', '"', '\\', '\'', '\t']) { format!("\"{word}\"") } else { word }
}

/// The text below a line by which [`is_untouched`] knows it again.
pub(super) fn stamped(text: &str) -> String {
    format!("{STAMP}{}\n{text}", hash(text))
}

/// Whether this program has written the text, changed since or not.
pub(super) fn is_ours(text: &str) -> bool {
    text.starts_with(STAMP)
}

/// Whether nobody has changed the text since this program has written it.
pub(super) fn is_untouched(text: &str) -> bool {
    let rest = text.strip_prefix(STAMP).and_then(|rest| rest.split_once('\n'));
    rest.is_some_and(|(stamp, text)| stamp == hash(text))
}

fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_systemd_reads_them() {
        let program = Path::new("/opt/my tools/100%/hezar");
        let text = adapted(USER.1, program, &[("HEZAR_CONFIG", Path::new("/home/a/hezar.toml"))]);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("hezar")).collect();
        assert!(lines.contains(&"Environment=HEZAR_CONFIG=/home/a/hezar.toml"), "{text}");
        assert!(lines.contains(&r#"ExecStart="/opt/my tools/100%%/hezar" run"#), "{text}");
        assert!(lines.contains(&r#"ExecReload="/opt/my tools/100%%/hezar" reload"#), "{text}");
        let has = |path: &str| has_variable(&text, "HEZAR_CONFIG", Path::new(path));
        assert!(has("/home/a/hezar.toml") && !has("/home/a/hezar") && !has("/home/b/hezar.toml"));
        for (name, text) in SYSTEM {
            assert_eq!(text.contains("/bin/hezar"), text.contains(PROGRAM), "{name}");
            assert_eq!(adapted(text, Path::new(PROGRAM), &[]), text, "{name}");
        }
    }

    #[test]
    fn a_unit_is_known_again_until_somebody_changes_it() {
        let text = stamped(USER.1);
        assert!(is_ours(&text) && is_untouched(&text));
        let changed = text.replace("WatchdogSec=30s", "WatchdogSec=60s");
        assert!(is_ours(&changed) && !is_untouched(&changed));
        assert!(!is_ours(USER.1) && !is_untouched(USER.1));
    }

    #[test]
    fn the_user_of_the_service_is_named() {
        assert!(user_line().starts_with("u hezar "), "{}", user_line());
    }
}
