//! The software bill of materials in CycloneDX JSON 1.5: every crate in the program and every package in its web page.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

use super::version;
use crate::graph::Graph;

/// The page's build tool: it stands among the dependencies because a release build needs it, and does not become part of the page.
const BUILD_TOOL: &str = "vite";

/// What Cargo.lock says of a crate.
#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    /// SHA-256 of the crate's archive.
    checksum: Option<String>,
}

#[derive(Debug, Deserialize)]
struct CargoLock {
    package: Vec<Locked>,
}

/// What web/package-lock.json says of a package.
#[derive(Debug, Deserialize)]
struct NpmPackage {
    version: Option<String>,
    license: Option<String>,
    /// The names of what it imports. Build tools are the page's development dependencies, or peers of its parts.
    #[serde(default)]
    dependencies: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct NpmLock {
    /// By their folder; the page itself is the one without a name.
    packages: BTreeMap<String, NpmPackage>,
}

impl NpmLock {
    /// The packages that become part of the page, by name.
    fn parts(&self) -> BTreeMap<&str, &NpmPackage> {
        let mut parts = BTreeMap::new();
        let mut next: Vec<&NpmPackage> = self.packages.get("").into_iter().collect();
        while let Some(package) = next.pop() {
            for name in package.dependencies.keys().filter(|name| *name != BUILD_TOOL) {
                if let Some(part) = self.packages.get(&format!("node_modules/{name}"))
                    && parts.insert(&**name, part).is_none()
                {
                    next.push(part);
                }
            }
        }
        parts
    }
}

/// Writes the document, and gives its path.
///
/// # Errors
/// A lock file or cargo's graph cannot be read.
pub(super) fn write(root: &Path, out: &Path) -> anyhow::Result<PathBuf> {
    let file = out.join(format!("hezar-{}.cdx.json", version()));
    let document = document(&Graph::read(root)?, &fs::read_to_string(root.join("Cargo.lock"))?, &npm_lock(root)?)?;
    fs::write(&file, serde_json::to_string_pretty(&document)? + "\n")?;
    Ok(file)
}

fn npm_lock(root: &Path) -> anyhow::Result<String> {
    fs::read_to_string(root.join("web/package-lock.json")).context("web/package-lock.json")
}

fn document(graph: &Graph, cargo_lock: &str, npm_lock: &str) -> anyhow::Result<Value> {
    let locked: CargoLock = toml::from_str(cargo_lock).context("Cargo.lock")?;
    let checksums: HashMap<(String, String), String> = locked
        .package
        .into_iter()
        .filter_map(|package| Some(((package.name, package.version), package.checksum?)))
        .collect();
    let mut components = Vec::new();
    for (name, version, license) in graph.components("hezar")? {
        let mut component = component("cargo", name, version, license);
        if let Some(checksum) = checksums.get(&(name.to_owned(), version.to_owned())) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
        }
        components.push(component);
    }
    let npm: NpmLock = serde_json::from_str(npm_lock).context("web/package-lock.json")?;
    for (name, package) in npm.parts() {
        let version = package.version.as_deref().with_context(|| format!("{name} has no version"))?;
        components.push(component("npm", name, version, package.license.as_deref()));
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": "hezar", "name": "hezar", "version": version(),
                "licenses": [{ "expression": "MIT OR Apache-2.0" }],
            },
        },
        "components": components,
    }))
}

/// One component with its package URL (purl), which is also its reference.
fn component(kind: &str, name: &str, version: &str, license: Option<&str>) -> Value {
    // The scope of an npm package begins with @, which a package URL escapes.
    let purl = format!("pkg:{kind}/{}@{version}", name.replace('@', "%40"));
    let mut component = json!({ "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl });
    if let Some(license) = license {
        // Older manifests separate alternatives with a slash, which SPDX does not know.
        let words = license.replace('/', " OR ");
        let expression = words.split_whitespace().collect::<Vec<_>>().join(" ");
        component["licenses"] = json!([{ "expression": expression }]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_and_packages_of_the_page_are_components() {
        let graph: Graph = serde_json::from_value(json!({
            "packages": [
                { "id": "hezar", "name": "hezar", "version": "1.0.0", "license": null, "source": null, "manifest_path": "/x" },
                { "id": "a", "name": "a", "version": "2.0.0", "license": "MIT / Apache-2.0", "source": "r", "manifest_path": "/y" },
            ],
            "resolve": { "nodes": [
                { "id": "hezar", "deps": [{ "pkg": "a", "dep_kinds": [{ "kind": null }] }] },
                { "id": "a", "deps": [] },
            ] },
        }))
        .unwrap();
        let lock = "[[package]]\nname = \"a\"\nversion = \"2.0.0\"\nchecksum = \"00ff\"\n";
        let npm = json!({ "packages": {
            "": { "version": "1", "dependencies": { "@x/page": "3", "vite": "8" }, "devDependencies": { "tool": "4" } },
            "node_modules/@x/page": { "version": "3.0.0", "license": "MIT", "peerDependencies": { "tool": "4" } },
            "node_modules/vite": { "version": "8.0.0" },
            "node_modules/tool": { "version": "4.0.0" },
        } });
        let document = document(&graph, lock, &npm.to_string()).unwrap();
        let components = document["components"].as_array().unwrap();
        let purls: Vec<&str> = components.iter().map(|one| one["purl"].as_str().unwrap()).collect();
        assert_eq!(purls, ["pkg:cargo/a@2.0.0", "pkg:npm/%40x/page@3.0.0"]);
        assert_eq!(components[0]["hashes"][0]["content"], "00ff");
        assert_eq!(components[0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
    }
}
