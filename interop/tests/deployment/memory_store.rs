//! A database in memory on small real file systems: a full disk while snapshots are taken, and a machine that stops meanwhile.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use hezar_interop::harness::{Running, ask, eventually, free_addresses, programs};
use serde_json::Value;

const NODES: usize = 2000;

/// A file system in memory; it is unmounted at the end.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(folder: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let options = format!("size={size},mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&folder).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let file = self.0.join("fill");
        let _ = fs::write(&file, vec![1; 64 << 20]);
        file
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

struct Instance {
    running: Running,
    api: SocketAddr,
}

impl Instance {
    fn start(hezar: &Path, folder: &Path) -> Self {
        let [proxy, api] = free_addresses(2)[..] else { panic!("two addresses were asked for") };
        let config = format!(
            "data = \"data\"\n[proxy]\nlisten = \"{proxy}\"\n[api]\nlisten = \"{api}\"\ntoken = \"a-token-for-this-test\"\n\
             [probe]\nurl = \"http://127.0.0.1:9/\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\n\
             [store]\nmemory = true\nmemory_folder = \"memory\"\nsnapshot_every = \"1s\"\nsnapshots = 3\n\
             [[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n"
        );
        fs::write(folder.join("hezar.toml"), config).unwrap();
        let mut running = Running::start(hezar, &["run"], folder);
        running.accepts(api);
        Self { running, api }
    }

    fn status(&self) -> Value {
        let answer = ask(self.api, "GET", "/api/v1/status", "Authorization: Bearer a-token-for-this-test\r\n", "");
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}\n{}", self.running.log()))
    }

    fn snapshots(&self) -> Value {
        self.status()["store"]["snapshots"].clone()
    }

    fn nodes(&self) -> u64 {
        let status = self.status();
        status["nodes"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
    }
}

fn snapshots(data: &Path) -> Vec<PathBuf> {
    fs::read_dir(data.join("snapshots")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_full_disk_stops_snapshots_and_nothing_else() {
    let Some((hezar, [])) = programs("database in memory", []) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, memory) = (folder.path().join("data"), folder.path().join("memory"));
    let (Some(disk), Some(in_memory)) = (Tmpfs::mount(data.clone(), "12m"), Tmpfs::mount(memory.clone(), "16m")) else {
        assert!(std::env::var_os("HEZAR_REQUIRE_PEERS").is_none(), "this test mounts file systems, as root");
        println!("database in memory: SKIPPED, mounting a file system needs root");
        return;
    };
    let list: String = (0..NODES).map(|number| format!("socks5://u{number}:p@127.0.0.9:9#n{number}\n")).collect();
    fs::write(folder.path().join("list.txt"), list).unwrap();
    let instance = Instance::start(&hezar, folder.path());
    eventually("all nodes in a snapshot", || {
        let taken = instance.snapshots()["taken"].as_u64();
        (instance.nodes() == NODES as u64 && taken >= Some(3)).then_some(())
    });

    let fill = disk.fill();
    eventually("a snapshot that does not fit", || (instance.snapshots()["error"] == "store-full").then_some(()));
    assert_eq!(instance.nodes(), NODES as u64, "it serves on");
    assert_eq!(ask(instance.api, "GET", "/healthz", "", "").status, 200);
    let left = snapshots(&data);
    assert!(!left.is_empty() && left.iter().all(|path| path.extension().is_some_and(|end| end == "zst")), "{left:?}");
    for snapshot in &left {
        let elsewhere = folder.path().join("elsewhere");
        let checked = Command::new(&hezar)
            .args([
                "--data".as_ref(),
                elsewhere.as_os_str(),
                "restore".as_ref(),
                "--check".as_ref(),
                snapshot.as_os_str(),
            ])
            .current_dir("/")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(checked.status.success() && said.contains("it can be restored"), "{checked:?}");
    }
    assert!(instance.running.log().contains("no snapshot of the store can be taken"), "{}", instance.running.log());

    // The machine stops while the disk is full: what is in memory is gone, and the older snapshots are good.
    drop(instance);
    drop(in_memory);
    let _in_memory = Tmpfs::mount(memory, "16m").unwrap();
    fs::remove_file(folder.path().join("list.txt")).unwrap();
    let instance = Instance::start(&hezar, folder.path());
    assert_eq!(instance.nodes(), NODES as u64, "{}", instance.running.log());

    // There is room again: the next try succeeds by itself.
    fs::remove_file(fill).unwrap();
    eventually("a snapshot after the failure", || {
        let snapshots = instance.snapshots();
        (snapshots["taken"].as_u64() > Some(0) && snapshots["error"].is_null()).then_some(())
    });
}
