//! The supervisor and the controller with a real mihomo.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use hezar_child::Launcher;
use hezar_interop::harness::programs;
use hezar_sidecar::{
    Controller, ControllerAddress, ControllerError, CoreCommand, CoreError, CoreHome, CoreSetup, CoreState,
    CoreSupervisor,
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

/// A mihomo that serves nothing but its controller, with one provider of nodes.
struct Plain(PathBuf);

fn controller(home: &CoreHome) -> Controller {
    Controller::new(ControllerAddress::Unix(home.file("ctl.sock")))
}

#[async_trait]
impl CoreSetup for Plain {
    fn name(&self) -> &'static str {
        "mihomo"
    }

    async fn prepare(&self, home: &CoreHome) -> Result<CoreCommand, CoreError> {
        home.write("pool.yaml", b"proxies: [{name: none, type: reject}]")?;
        let provider = "{type: file, path: ./pool.yaml, health-check: {enable: false}}";
        let text = format!(
            "external-controller-unix: ctl.sock\nlog-level: warning\nproxy-providers: {{pool: {provider}}}\nrules: ['MATCH,REJECT']\n"
        );
        let file = home.write("config.yaml", text.as_bytes())?;
        let arguments = ["-d".into(), home.path().into(), "-f".into(), file.into_os_string()];
        Ok(CoreCommand { program: self.0.clone(), arguments: arguments.into(), environment: vec![] })
    }

    async fn is_ready(&self, home: &CoreHome) -> bool {
        // The controller answers before the providers are loaded.
        controller(home).provider_nodes("pool").await.is_ok_and(|nodes| nodes == ["none"])
    }

    fn level(&self, _: &str) -> tracing::Level {
        tracing::Level::DEBUG
    }
}

fn supervisor(
    hezar: PathBuf,
    mihomo: PathBuf,
    folder: &std::path::Path,
) -> (Arc<CoreSupervisor<Plain>>, Arc<CoreHome>) {
    let home = Arc::new(CoreHome::create(folder, "mihomo").unwrap());
    let launcher = Launcher::new(hezar, [OsString::from("launch-child")]);
    (Arc::new(CoreSupervisor::new(Arc::new(Plain(mihomo)), launcher, Arc::clone(&home), 1 << 30)), home)
}

#[tokio::test(flavor = "multi_thread")]
async fn mihomo_is_started_asked_killed_and_started_again() {
    let Some((hezar, [mihomo])) = programs("cores", ["mihomo"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (supervisor, home) = supervisor(hezar, mihomo, folder.path());
    let (running, stop) = (Arc::clone(&supervisor), CancellationToken::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { running.run(&stopped).await });
    let mut state = supervisor.state();
    let mut pids = Vec::new();
    for start in 1..=3 {
        let up = state.wait_for(|state| matches!(state, CoreState::Up { start: now, .. } if *now == start));
        let CoreState::Up { pid, .. } = *timeout(PATIENCE, up).await.unwrap().unwrap() else { panic!("it is not up") };
        pids.push(pid);
        let controller = controller(&home);
        let version = controller.version().await.unwrap();
        assert!(version.meta && version.numbers() >= Some((1, 19, 27)), "{version:?}");
        assert_eq!(controller.provider_nodes("pool").await.unwrap(), ["none"]);
        home.write("pool.yaml", b"proxies: [{name: a, type: reject}, {name: b, type: nothing}]").unwrap();
        let refused = controller.update_provider("pool").await.unwrap_err();
        assert!(refused.refusal().unwrap().contains("proxy 1"), "{refused}");
        home.write("pool.yaml", b"proxies: [{name: a, type: reject}, {name: b, type: reject}]").unwrap();
        controller.update_provider("pool").await.unwrap();
        assert_eq!(controller.provider_nodes("pool").await.unwrap(), ["a", "b"]);
        assert!(matches!(
            controller.check_provider_node("pool", "a", "http://127.0.0.1:9/", None, Duration::from_millis(300)).await,
            Err(ControllerError::Refused { .. })
        ));
        assert!(controller.connections().await.unwrap().connections.is_empty());
        if start < 3 {
            kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        }
    }
    stop.cancel();
    timeout(PATIENCE, task).await.unwrap().unwrap();
    assert!(pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()), "{pids:?}");
}
