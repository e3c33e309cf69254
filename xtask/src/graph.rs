//! Reads the graph of crates as cargo sees it for this machine, and collects the licence texts in it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, ensure};
use serde::Deserialize;

/// How the names of files with licences and notices begin.
const TEXTS: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// What `cargo metadata` says.
#[derive(Debug, Deserialize)]
pub(crate) struct Graph {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// Where it comes from; a crate of ours has none.
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Import>,
}

#[derive(Debug, Deserialize)]
struct Import {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    /// `None` for what becomes part of the program.
    kind: Option<String>,
}

impl Graph {
    /// Writes cargo's answer to a file and returns it.
    ///
    /// # Errors
    /// When cargo fails.
    pub(crate) fn file(root: &Path) -> anyhow::Result<PathBuf> {
        let file = target(root).join("metadata.json");
        fs::create_dir_all(target(root))?;
        fs::write(&file, asked(root)?).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// Reads cargo's answer.
    ///
    /// # Errors
    /// When cargo fails or says something unknown.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        serde_json::from_slice(&asked(root)?).context("cargo metadata")
    }

    /// The licences and notices of what becomes part of `program`: a list of the crates, then each text once.
    ///
    /// # Errors
    /// When there is no such program or a text cannot be read.
    pub(crate) fn notices(&self, program: &str) -> anyhow::Result<String> {
        let mut out = String::from("This program contains the following crates.\n\n");
        let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for package in self.parts(program)?.into_iter().filter(|package| package.source.is_some()) {
            let name = format!("{} {}", package.name, package.version);
            writeln!(out, "{name}: {}", package.license.as_deref().unwrap_or("see its text"))?;
            for text in package.texts()? {
                texts.entry(text).or_default().insert(name.clone());
            }
        }
        for (text, names) in texts {
            let names: Vec<_> = names.into_iter().collect();
            write!(out, "\n{}\n{}\n\n{}\n", "=".repeat(78), names.join(", "), text.trim_end())?;
        }
        Ok(out)
    }

    /// Name, version and licence of every crate of others that becomes part of a program.
    ///
    /// # Errors
    /// When there is no such program.
    pub(crate) fn components(&self, program: &str) -> anyhow::Result<Vec<(&str, &str, Option<&str>)>> {
        let foreign = self.parts(program)?.into_iter().filter(|package| package.source.is_some());
        Ok(foreign.map(|package| (&*package.name, &*package.version, package.license.as_deref())).collect())
    }

    /// What becomes part of a program, by name and version.
    fn parts(&self, program: &str) -> anyhow::Result<Vec<&Package>> {
        let root = self.packages.iter().find(|package| package.source.is_none() && package.name == program);
        let nodes: HashMap<_, _> = self.resolve.nodes.iter().map(|node| (&*node.id, node)).collect();
        let (mut seen, mut next) = (HashSet::new(), vec![&*root.context("there is no such program")?.id]);
        while let Some(id) = next.pop() {
            if seen.insert(id)
                && let Some(node) = nodes.get(id)
            {
                let imports = node.deps.iter().filter(|import| import.dep_kinds.iter().any(|kind| kind.kind.is_none()));
                next.extend(imports.map(|import| &*import.pkg));
            }
        }
        let mut parts: Vec<_> = self.packages.iter().filter(|package| seen.contains(&*package.id)).collect();
        parts.sort_by_key(|package| (&package.name, &package.version));
        Ok(parts)
    }
}

impl Package {
    /// The texts beside its manifest.
    fn texts(&self) -> anyhow::Result<Vec<String>> {
        let folder = self.manifest_path.parent().context("a manifest without a folder")?;
        let mut texts = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().to_uppercase();
            if TEXTS.iter().any(|start| name.starts_with(start)) && entry.path().is_file() {
                texts.push(String::from_utf8_lossy(&fs::read(entry.path())?).replace("\r\n", "\n"));
            }
        }
        Ok(texts)
    }
}

/// The target folder.
pub(crate) fn target(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into)
}

/// What this machine builds, and nothing that it would have to download.
fn asked(root: &Path) -> anyhow::Result<Vec<u8>> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(["metadata", "--locked", "--format-version", "1", "--filter-platform"]);
    let output = command.arg(crate::fuzz::host()?).output().context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_once_with_all_who_have_it() {
        let folder = tempfile::tempdir().unwrap();
        let package = |name: &str, text: &str, source: &str| {
            let home = folder.path().join(name);
            fs::create_dir_all(&home).unwrap();
            fs::write(home.join("LICENSE-MIT"), text).unwrap();
            let manifest = home.join("Cargo.toml");
            format!(
                r#"{{"id":"{name}","name":"{name}","version":"1.0.0","license":"MIT","source":{source},"manifest_path":{manifest:?}}}"#
            )
        };
        let away = r#""registry""#;
        let packages = [
            package("ours", "ours", "null"),
            package("a", "same\r\n", away),
            package("b", "same\n", away),
            package("c", "of c", away),
            package("tests", "not in the program", away),
        ];
        let import = |name: &str, kind: &str| format!(r#"{{"pkg":"{name}","dep_kinds":[{{"kind":{kind}}}]}}"#);
        let dev = r#""dev""#;
        let ours = [import("a", "null"), import("tests", dev)].join(",");
        let a = [import("b", "null"), import("c", "null")].join(",");
        let graph = format!(
            r#"{{"packages":[{}],"resolve":{{"nodes":[{{"id":"ours","deps":[{ours}]}},{{"id":"a","deps":[{a}]}}]}}}}"#,
            packages.join(",")
        );
        let graph: Graph = serde_json::from_str(&graph).unwrap();
        let text = graph.notices("ours").unwrap();
        assert!(
            text.contains("a 1.0.0: MIT\nb 1.0.0: MIT\nc 1.0.0: MIT\n") && text.contains("a 1.0.0, b 1.0.0\n\nsame\n")
        );
        assert!(text.contains("c 1.0.0\n\nof c\n") && !text.contains("not in the program") && !text.contains("ours"));
        assert_eq!(text.matches("same").count(), 1);
        assert!(graph.notices("other").is_err());
    }
}
