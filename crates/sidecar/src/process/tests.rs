//! The supervisor over shell scripts that stand for cores.
#![cfg(target_os = "linux")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use hezar_child::Launcher;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::CoreError;

/// A script that stands for a core; it serves once it has made the file `ready`.
struct Script(PathBuf);

#[async_trait]
impl CoreSetup for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    async fn prepare(&self, home: &CoreHome) -> Result<CoreCommand, CoreError> {
        home.remove("ready")?;
        Ok(CoreCommand { program: self.0.clone(), arguments: vec![], environment: vec![] })
    }

    async fn is_ready(&self, home: &CoreHome) -> bool {
        home.file("ready").exists()
    }

    fn level(&self, _: &str) -> tracing::Level {
        tracing::Level::WARN
    }
}

fn program(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path
}

/// A launcher that only drops the id of the parent.
fn launcher(folder: &Path) -> Launcher {
    Launcher::new(program(folder, "launcher", "#!/bin/sh\nshift\nexec \"$@\"\n"), [])
}

fn supervisor(folder: &Path, script: &str) -> Arc<CoreSupervisor<Script>> {
    limited(folder, script, 1 << 40)
}

/// A supervisor whose core may use so many bytes.
fn limited(folder: &Path, script: &str, memory: u64) -> Arc<CoreSupervisor<Script>> {
    let setup = Arc::new(Script(program(folder, "core", script)));
    let home = Arc::new(CoreHome::create(&folder.join("cores"), "script").unwrap());
    Arc::new(CoreSupervisor::new(setup, launcher(folder), home, memory))
}

/// Waits for a start of this number that serves, and gives its process.
async fn up(supervisor: &CoreSupervisor<Script>, wanted: u64) -> u32 {
    let mut state = supervisor.state();
    let up = state.wait_for(|state| matches!(state, CoreState::Up { start, .. } if *start == wanted));
    match *timeout(Duration::from_secs(60), up).await.unwrap().unwrap() {
        CoreState::Up { pid, .. } => pid,
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn a_core_that_ends_is_started_again_and_ended_at_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = supervisor(folder.path(), "#!/bin/sh\necho trouble\ntouch ready\nexec sleep 600\n");
    let (running, stop) = (Arc::clone(&supervisor), CancellationToken::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { running.run(&stopped).await });
    for start in 1..=3 {
        let pid = up(&supervisor, start).await;
        if start < 3 {
            rustix::process::kill_process(
                rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap(),
                rustix::process::Signal::KILL,
            )
            .unwrap();
        }
    }
    assert_eq!(supervisor.counters().starts(), 3);
    let pid = up(&supervisor, 3).await;
    stop.cancel();
    timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn a_core_that_never_serves_is_told_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = supervisor(folder.path(), "#!/bin/sh\necho 'no such setting'\nexit 3\n");
    let (running, stop) = (Arc::clone(&supervisor), CancellationToken::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { running.run(&stopped).await });
    let mut state = supervisor.state();
    let down = state.wait_for(|state| matches!(state, CoreState::Down { .. }));
    let state = timeout(Duration::from_secs(60), down).await.unwrap().unwrap().clone();
    let CoreState::Down { reason } = state else { panic!("{state:?}") };
    assert!(reason.contains("exit status: 3") && reason.contains("no such setting"), "{reason}");
    stop.cancel();
    timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_core_that_uses_more_memory_than_it_may_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = limited(folder.path(), "#!/bin/sh\ntouch ready\nexec sleep 600\n", 4096);
    let (running, stop) = (Arc::clone(&supervisor), CancellationToken::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { running.run(&stopped).await });
    let pid = up(&supervisor, 1).await;
    let mut state = supervisor.state();
    let down = state.wait_for(|state| matches!(state, CoreState::Down { .. }));
    let state = timeout(Duration::from_secs(60), down).await.unwrap().unwrap().clone();
    let CoreState::Down { reason } = state else { panic!("{state:?}") };
    assert!(reason.contains("more than it may"), "{reason}");
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    stop.cancel();
    timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
}

/// A core whose program hangs when it is asked what it is.
struct Hanging;

#[async_trait]
impl CoreSetup for Hanging {
    fn name(&self) -> &'static str {
        "hanging"
    }

    async fn prepare(&self, _: &CoreHome) -> Result<CoreCommand, CoreError> {
        std::future::pending().await
    }

    async fn is_ready(&self, _: &CoreHome) -> bool {
        false
    }

    fn level(&self, _: &str) -> tracing::Level {
        tracing::Level::WARN
    }
}

#[tokio::test]
async fn the_stop_does_not_wait_for_a_start_that_is_prepared() {
    let folder = tempfile::tempdir().unwrap();
    let home = Arc::new(CoreHome::create(folder.path(), "x").unwrap());
    let supervisor = CoreSupervisor::new(Arc::new(Hanging), launcher(folder.path()), home, 1 << 40);
    let stop = CancellationToken::new();
    let stopping = async {
        tokio::task::yield_now().await;
        stop.cancel();
    };
    let ended = async { tokio::join!(supervisor.run(&stop), stopping) };
    timeout(Duration::from_secs(60), ended).await.unwrap();
    assert_eq!(supervisor.counters().starts(), 0);
}

#[test]
fn homes_are_private_short_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let left = folder.path().join(format!("x-{}-{}", i32::MAX, "0".repeat(32)));
    // A container's process has the id that the one before had.
    let same_id = folder.path().join(format!("x-{}-{}", std::process::id(), "0".repeat(32)));
    let strange = folder.path().join("somebody-else");
    fs::create_dir_all(&left).unwrap();
    fs::create_dir_all(&same_id).unwrap();
    fs::create_dir_all(&strange).unwrap();
    let home = CoreHome::create(folder.path(), "x").unwrap();
    assert!(!left.exists() && !same_id.exists() && strange.exists());
    assert_eq!(fs::metadata(home.path()).unwrap().permissions().mode() & 0o777, 0o700);
    home.write("a", b"1").unwrap();
    let path = home.path().to_owned();
    // The home of a living process stays.
    let other = CoreHome::create(folder.path(), "x").unwrap();
    assert!(path.exists() && other.path() != path);
    drop(home);
    assert!(!path.exists());
    // A core has its home as its working folder, where a relative path leads elsewhere.
    let parent = tempfile::tempdir_in(".").unwrap();
    let relative = Path::new(".").join(parent.path().file_name().unwrap());
    assert!(CoreHome::create(&relative, "x").unwrap().path().is_absolute());
    let deep = folder.path().join("d".repeat(100));
    let short = CoreHome::create(&deep, "x").unwrap();
    assert!(short.file("controller.sock").as_os_str().len() < 103);
}
