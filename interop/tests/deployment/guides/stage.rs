//! Where the commands of a guide are run: a network namespace of its own, with an empty home, the program in PATH, and a
//! demonstration world whose nodes a subscription lists.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use hezar_interop::harness::programs;

use super::block::Block;
use crate::namespaced_shell;

/// How long the commands of one guide may take, in seconds: a bound for what hangs, not a figure.
const LONGEST: &str = "600";

/// What comes before the commands: an address as in a home network, the world, and what a reader of the guide has in front of him. The world's pages are asked for instead of
/// those of the internet, which is not there.
const PREAMBLE: &str = r#"
set -euo pipefail
ip link set lo up
ip address add 192.168.77.1/24 dev lo
(cd "$STAGE/world" && HOME=$PWD exec "$PROGRAM" run --demo --listen 127.0.0.1:18000 --api 127.0.0.1:19090 >log 2>&1) &
export SUBSCRIPTION=http://127.0.0.1:19090/sub/0123456789abcdef PAGE=http://demo.hezar/
until [ "$(curl -s "$SUBSCRIPTION?target=links" | wc -l)" -ge 15 ]; do sleep 0.1; done
export HOME=$STAGE/home PATH=$STAGE/bin:$PATH
export HEZAR_PROBE_URL=http://demo.hezar/generate_204 HEZAR_PROBE_TRACE_URL=http://demo.hezar/cdn-cgi/trace
export HEZAR_PROBE_CANARY_URL= HEZAR_PROBE_CONTROL=
unset PROGRAM
cd "$STAGE/work"
trap 'echo "FAILED: $where"; cat "$STAGE"/*.log' ERR
"#;

/// What waits for a command that keeps running.
const READY: &str = "for _ in $(seq 600); do hezar health >/dev/null 2>&1 && break; sleep 0.1; done\nhezar health\n";

/// The configuration of the world.
const WORLD: &str = "[[subscription]]\nname = \"world\"\ntoken = \"0123456789abcdef\"\nallow_private = true\n";

/// The programs that the guides use beside those of every system.
#[derive(Debug)]
pub(crate) struct Stage {
    hezar: PathBuf,
    /// The folder of Python's packages.
    python: PathBuf,
    /// The folder of Node's packages.
    node: PathBuf,
}

impl Stage {
    /// `None`, with a line that says so, where something is missing that is not required.
    pub(crate) fn find() -> Option<Self> {
        let names = ["python-clients", "undici", "curl", "ip", "chromium", "openssl"];
        let (hezar, [python, undici, ..]) = programs("guides", names)?;
        let python = python.parent()?.join("lib");
        let node = undici.parent()?.join("node_modules");
        namespaced_shell::can_be_made("guides").then_some(Self { hezar, python, node })
    }

    /// Runs the commands of one guide, in one shell, in their order.
    pub(crate) fn play(&self, page: &str, blocks: &[Block]) {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["bin", "home", "work", "world"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("world/hezar.toml"), WORLD).unwrap();
        self.write_program(&at("bin/hezar"));
        symlink(&self.node, at("work/node_modules")).unwrap();
        for block in blocks {
            if let Some(name) = block.file() {
                fs::write(at("work").join(name), &block.text).unwrap();
            }
        }
        let script = at("script");
        fs::write(&script, script_of(page, blocks)).unwrap();
        let began = Instant::now();
        let output = self.command(folder.path(), &script).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{page}: {}\n{said}\n{errors}", output.status);
        println!("{page}: {} blocks run in {:.1} s", count(blocks), began.elapsed().as_secs_f64());
    }

    /// The program in PATH. The world's servers are on loopback, which no list may name unless the user allows it.
    fn write_program(&self, file: &Path) {
        let hezar = self.hezar.display();
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = up ] && shift && exec '{hezar}' up --allow-private \"$@\"\nexec '{hezar}' \"$@\"\n"
        );
        fs::write(file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The shell with the script.
    fn command(&self, stage: &Path, script: &Path) -> Command {
        let mut command = namespaced_shell::shell(LONGEST);
        command.arg(script).current_dir(stage);
        let cache = env::var_os("HOME").map(|home| Path::new(&home).join(".cache/go-build")).unwrap_or_default();
        command.env("GOCACHE", env::var_os("GOCACHE").unwrap_or_else(|| cache.into()));
        command.env("STAGE", stage).env("PROGRAM", &self.hezar).env("PYTHONPATH", &self.python);
        command
    }
}

fn count(blocks: &[Block]) -> usize {
    blocks.iter().filter(|block| block.is_run()).count()
}

/// The whole script. A block whose program is no part of the tests' machine is passed over, with a line that says so.
fn script_of(page: &str, blocks: &[Block]) -> String {
    let mut script = PREAMBLE.to_owned();
    for block in blocks.iter().filter(|block| block.is_run()) {
        script.push_str(&format!("where='{page}:{}'; echo \"$where\"\n", block.line));
        if block.is_background() {
            script.push_str(&format!("({}) >\"$STAGE/{}.log\" 2>&1 &\n{READY}", block.text.trim(), block.line));
        } else if block.text.starts_with("java ") {
            script.push_str(&format!(
                "if command -v java >/dev/null; then\n{}else echo \"$where: SKIPPED, there is no java\"; fi\n",
                block.text
            ));
        } else {
            script.push_str(&block.text);
        }
    }
    script
}
