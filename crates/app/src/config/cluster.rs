//! `[cluster]`: what this process is among several that share a store in PostgreSQL.

use hezar_core::{Roles, settings};

use super::{
    Config,
    resolve::plain,
    section::{Reading, Section},
};

settings! {
    /// This process among several with one store in PostgreSQL: docs/cluster.md.
    #[derive(Clone, Debug)]
    pub struct ClusterConfig in "cluster" {
        /// What it does: "fetch", "probe", "gateway", "api".
        /// Other roles than all of them need a store in PostgreSQL.
        pub roles: Roles = Roles::all();
        /// Its name among the others; absent: the machine's name and a number that the data folder keeps.
        /// Letters, digits, ".", "_" and "-".
        pub name: Option<Box<str>> [1..=64] = None, example "\"probe-1\"";
        /// Where it stands: what probers of the same region find counts first.
        /// Letters, digits, ".", "_" and "-".
        pub region: Box<str> [0..=32] = "".into(), example "\"de\"";
    }
}

/// Reads the section.
pub(super) fn cluster(section: Section<'_>) -> ClusterConfig {
    plain(section)
}

/// Notes what does not go together.
pub(super) fn check(config: &Config, reading: &Reading<'_>) {
    let cluster = &config.cluster;
    let names = [("cluster.name", cluster.name.as_deref()), ("cluster.region", Some(&*cluster.region))];
    for (path, name) in names {
        if !name.is_none_or(is_plain) {
            reading.problem(path, "expected letters, digits, \".\", \"_\" and \"-\" alone");
        }
    }
    if !cluster.roles.are_all() && !config.store.url.is_shared() {
        let roles = cluster.roles;
        reading.problem(
            "cluster.roles",
            format_args!(
                "a process that only has the roles {roles} shares its store with others that have the rest: \
                 that needs store.url = \"postgres://…\""
            ),
        );
    }
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use hezar_core::Role;

    use super::*;
    use crate::config::Layers;

    fn problems(text: &str, layers: &Layers) -> String {
        Config::read(text, None, layers).map(|config| config.show()).unwrap_err().to_string()
    }

    #[test]
    fn some_of_the_roles_need_a_store_that_others_have_too() {
        let config =
            Config::read("[cluster]\nname = \"a-1.b_2\"\nregion = \"de\"\n", None, &Layers::default()).unwrap();
        assert!(config.cluster.roles.are_all() && config.cluster.roles.has(Role::Probe));
        let told = problems("[cluster]\nroles = [\"probe\", \"fetch\"]\n", &Layers::default());
        assert!(
            told.contains("cluster.roles") && told.contains("fetch,probe") && told.contains("postgres://"),
            "{told}"
        );
        let mut layers = Layers::default();
        layers.flags.insert("cluster.roles".to_owned(), "gateway".to_owned());
        assert!(problems("", &layers).contains("postgres://"));
    }

    #[test]
    fn names_and_roles_are_checked() {
        for (text, part) in [
            ("name = \"a b\"", "letters, digits"),
            ("name = \"\"", "1 to 64"),
            ("region = \"über\"", "letters, digits"),
            ("roles = []", "\"gateway\""),
            ("roles = [\"prober\"]", "\"gateway\""),
        ] {
            let told = problems(&format!("[cluster]\n{text}\n"), &Layers::default());
            assert!(told.contains(part), "{told}");
        }
    }
}
