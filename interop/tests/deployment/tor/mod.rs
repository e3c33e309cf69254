//! A source with `tor = 20` on a Tor network of the test's own, in a network namespace: exits with addresses of their own, one that
//! is rotated, one that dies, and the end of the client with Hezar.

mod judge;
mod network;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use hezar_interop::harness::{
    Running, ask, eventually, eventually_within, free_addresses, is_alive, process_with, programs,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use network::Network;

/// Says that this process runs in a namespace of its own.
const INSIDE: &str = "HEZAR_TEST_INSIDE";
/// The addresses of the namespace, all on its loopback device: Tor binds its exits' traffic to an address only where the target is not
/// in 127.0.0.0/8.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const CIRCUITS: usize = 20;
const EXITS: u8 = 4;
/// How long the onion service may take to be found.
const ONION: Duration = Duration::from_secs(240);

#[test]
fn twenty_circuits_on_a_private_network() {
    let Some((hezar, [tor, _])) = programs("tor", ["tor", "iproute2"]) else { return };
    if env::var_os(INSIDE).is_none() {
        return run_in_namespace("tor::twenty_circuits_on_a_private_network");
    }
    let folder = tempfile::tempdir().unwrap();
    let judge = judge::start(FIRST);
    let base = Ipv4Addr::from_bits(FIRST.to_bits() + 1);
    let mut network = Network::start(&tor, &folder.path().join("network"), base, EXITS, judge);
    let mut world = World::start(hezar, &tor, &network, judge, folder.path());

    let before = world.working_circuits();
    let exits: BTreeSet<Ipv4Addr> = before.values().map(|circuit| circuit.exit).collect();
    assert!(exits.len() >= 3, "{before:?}");
    let seen = world.addresses_of_requests(60);
    assert!(seen.len() >= 3, "{seen:?}");

    // Onion services have names that circuits alone know. This one may still be on its way to the directories,
    // and a client that did not find it there waits before it asks again.
    let onion = format!("http://{}/ip", network.onion);
    eventually_within(ONION, "the onion service answers", || {
        let answer = ask(world.proxy, "GET", &onion, "", "");
        (answer.status == 200 && answer.body.starts_with("ip=")).then_some(())
    });

    // A circuit that is rotated comes out elsewhere, and the others stay as they are.
    let (number, rotated) = before.iter().next().unwrap();
    let answer = world.api("POST", &format!("/api/v1/nodes/{}/rotate", rotated.id));
    assert_ne!(answer["replacement"].as_str(), Some(&*rotated.id));
    eventually("the rotated circuit comes out elsewhere", || {
        // It may have been renewed again, when it came out of the same exit.
        world.circuits().get(number).filter(|now| now.id != rotated.id && now.exit != rotated.exit).map(drop)
    });
    // Under load another one may fail meanwhile, and is renewed too.
    let kept = world.kept(&before);
    assert!(kept >= CIRCUITS / 2, "{kept} circuits are as before");

    // An exit dies: requests go on, and never from there.
    let dead = rotated.exit;
    network.kill_exit(dead);
    let seen = world.addresses_of_requests(60);
    assert!(!seen.contains(&dead), "{seen:?}");
    eventually("all circuits come out elsewhere", || {
        world.circuits().values().all(|circuit| circuit.exit != dead).then_some(())
    });

    // Hezar is killed and started again: the client that it has left is taken over with its circuits.
    let (client, before) = (world.client().unwrap(), world.working_circuits());
    world.kill();
    world.start_again();
    world.working_circuits();
    assert_eq!(world.client(), Some(client), "the client is the same");
    let kept = world.kept(&before);
    assert!(kept >= CIRCUITS / 2, "{kept} circuits are as before");
    // Asked to end, it ends its client.
    world.terminate();
    assert_eq!(world.client(), None);

    // Killed for good, its client ends by itself.
    world.start_again();
    eventually("the client runs", || world.client());
    world.kill();
    eventually("the client ends with Hezar", || world.client().is_none().then_some(()));
}

/// Runs this test again in namespaces of its own; whatever it starts ends with it.
fn run_in_namespace(test: &str) {
    let script = format!("ip link set lo up && ip address add {FIRST}/24 dev lo && exec \"$@\"");
    let program = env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", &script, "sh"])
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status();
    match status {
        Ok(status) => assert!(status.success(), "the test in the namespace failed"),
        Err(error) => panic!("no namespace: {error}"),
    }
}

/// A node of the Tor source.
#[derive(Debug)]
struct Circuit {
    id: String,
    exit: Ipv4Addr,
}

/// Hezar with its Tor source.
struct World {
    hezar: PathBuf,
    folder: PathBuf,
    judge: SocketAddr,
    proxy: SocketAddr,
    api: SocketAddr,
    running: Option<Running>,
}

impl World {
    fn start(hezar: PathBuf, tor: &Path, network: &Network, judge: SocketAddr, folder: &Path) -> Self {
        let [proxy, api] = free_addresses(2)[..] else { panic!("two addresses") };
        let mut options = vec!["TestingTorNetwork 1".to_owned(), "PathsNeededToBuildCircuits 0.67".to_owned()];
        options.extend(network.authorities.clone());
        let config = format!(
            "[proxy]\nlisten = \"{proxy}\"\n[api]\nlisten = \"{api}\"\n\
             [probe]\nurl = \"http://{judge}/generate_204\"\ntrace_url = \"http://{judge}/trace\"\ncontrol = []\n\
             canary_url = \"\"\ninterval = \"5s\"\ntimeout = \"8s\"\n\
             [tor]\nbinary = {:?}\noptions = {options:?}\n\
             [[source]]\nname = \"tor\"\ntor = {CIRCUITS}\n",
            tor.display().to_string()
        );
        fs::write(folder.join("hezar.toml"), config).unwrap();
        let mut world = Self { hezar, folder: folder.to_owned(), judge, proxy, api, running: None };
        world.start_again();
        world
    }

    fn start_again(&mut self) {
        let mut running = Running::start(&self.hezar, &["run"], &self.folder);
        running.accepts(self.api);
        self.running = Some(running);
    }

    /// `kill -9`.
    fn kill(&mut self) {
        drop(self.running.take());
    }

    /// Asks it to end, and waits until it has.
    fn terminate(&mut self) {
        let Some(running) = self.running.take() else { return };
        let pid = running.pid();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::TERM).unwrap();
        eventually("Hezar has ended", || (!is_alive(pid)).then_some(()));
    }

    fn api(&self, method: &str, path: &str) -> Value {
        let token = fs::read_to_string(self.folder.join("hezar-data/token")).unwrap();
        let answer = ask(self.api, method, path, &format!("Authorization: Bearer {}\r\n", token.trim()), "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The circuits that work, by their numbers.
    fn circuits(&self) -> BTreeMap<u32, Circuit> {
        let page = self.api("GET", "/api/v1/nodes?state=healthy&limit=100");
        let circuit = |node: &Value| {
            // Its name is such as `tor 7 exit5`.
            let number = node["name"].as_str()?.split(' ').nth(1)?.parse().ok()?;
            let exit = node["exit_ip"].as_str()?.parse().ok()?;
            Some((number, Circuit { id: node["id"].as_str()?.to_owned(), exit }))
        };
        page["nodes"].as_array().unwrap().iter().filter_map(circuit).collect()
    }

    /// The same, once nearly all of them work.
    fn working_circuits(&self) -> BTreeMap<u32, Circuit> {
        let working =
            eventually("the circuits work", || Some(self.circuits()).filter(|working| working.len() >= CIRCUITS - 2));
        eventually("each circuit is one node", || {
            (self.api("GET", "/api/v1/nodes?limit=100")["total"] == CIRCUITS).then_some(())
        });
        working
    }

    /// How many circuits are the same nodes as before.
    fn kept(&self, before: &BTreeMap<u32, Circuit>) -> usize {
        let page = self.api("GET", "/api/v1/nodes?limit=100");
        let ids: BTreeSet<&str> =
            page["nodes"].as_array().unwrap().iter().filter_map(|node| node["id"].as_str()).collect();
        before.values().filter(|circuit| ids.contains(&*circuit.id)).count()
    }

    /// The addresses that so many requests come from.
    fn addresses_of_requests(&self, count: usize) -> BTreeSet<Ipv4Addr> {
        let request = |_| {
            let answer = ask(self.proxy, "GET", &format!("http://{}/ip", self.judge), "", "");
            assert_eq!(answer.status, 200, "{} {}", answer.head, answer.body);
            answer.body.trim().trim_start_matches("ip=").parse().unwrap()
        };
        (0..count).map(request).collect()
    }

    /// The process of the Tor client.
    fn client(&self) -> Option<u32> {
        let torrc = self.folder.join("hezar-data/tor/tor/torrc").display().to_string();
        process_with(|line| line.split('\0').any(|word| word == torrc))
    }
}
