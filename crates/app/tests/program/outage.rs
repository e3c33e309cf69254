//! The probe's target goes away, then our own uplink: no node is lost, clients are served as far as that is possible, and
//! afterwards everything is as before.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use hezar_lab::{BEACON_HOST, DEMO_HOST, Fault, World, WorldConfig};

use crate::harness::{Home, Instance, eventually};

const NODES: usize = 12;

#[test]
fn an_outage_of_the_probes_target_or_the_uplink_loses_no_node() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(NODES))).unwrap();
    let uplink = Uplink::up();
    let home = Home::new();
    home.write("list.txt", world.links());
    // The first control URL is reached directly, the second one through nodes: in this world nothing is both.
    home.write(
        "hezar.toml",
        format!(
            "[probe]\nurl = \"http://{BEACON_HOST}/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\ninterval = \"1s\"\ntimeout = \"10s\"\n\
             control = [\"http://{}/\", \"http://{DEMO_HOST}/generate_204\"]\n\
             [[source]]\nname = \"list\"\nfile = \"list.txt\"\nallow_private = true\n",
            uplink.address
        ),
    );
    let instance = home.start(&[]);
    eventually("all nodes healthy", || (Seen::of(&instance).healthy == NODES).then_some(()));

    world.set_beacon(false);
    let (mut asked, held) = (0, Seen::of(&instance).held);
    eventually("several rounds without the target", || {
        let seen = Seen::of(&instance).kept("target");
        let answer = instance.get("http://demo.hezar/");
        assert!(matches!(answer, Some((200, _))), "clients are served all the while: {answer:?}");
        asked += 1;
        (seen.held >= held + 4 * NODES && seen.guard == 2).then_some(())
    });
    world.set_beacon(true);
    back("target", asked, &instance);

    let refused = |fault| (0..NODES).for_each(|n| runtime.block_on(world.set_fault(n, fault)).unwrap());
    uplink.cut();
    refused(Fault::Refused);
    let (mut asked, held) = (0, Seen::of(&instance).held);
    eventually("several rounds without an uplink", || {
        let seen = Seen::of(&instance).kept("uplink");
        let status = instance.get("http://demo.hezar/").map(|(status, _)| status);
        assert!(matches!(status, Some(502 | 504)), "nothing can be reached, and nodes are still tried: {status:?}");
        asked += 1;
        (seen.held >= held + 4 * NODES && seen.guard == 2).then_some(())
    });
    refused(Fault::Healthy);
    uplink.restore();
    back("uplink", asked, &instance);
    instance.terminate();
    runtime.block_on(world.shutdown());
}

/// Waits until all is as before; meanwhile nobody may die of what the outage left behind.
fn back(what: &str, asked: usize, instance: &Instance) {
    let begun = Instant::now();
    eventually("all nodes healthy again", || (Seen::of(instance).kept(what).healthy == NODES).then_some(()));
    let took = begun.elapsed();
    println!("{what}: {asked} requests of clients meanwhile, all {NODES} nodes healthy {took:.1?} after its end");
    eventually("requests are served", || matches!(instance.get("http://demo.hezar/"), Some((200, _))).then_some(()));
    let before = Seen::of(instance).probes;
    eventually("two more rounds of probes", || {
        let seen = Seen::of(instance).kept(what);
        (seen.probes >= before + 2 * NODES).then_some(())
    });
}

/// What the metrics say.
#[derive(Debug)]
struct Seen {
    healthy: usize,
    suspect: usize,
    dead: usize,
    /// Failures that were not believed.
    held: usize,
    /// Probes that have ended, whatever they found.
    probes: usize,
    guard: usize,
}

impl Seen {
    fn of(instance: &Instance) -> Self {
        let mut stream = TcpStream::connect(instance.api).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", instance.api).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let sum = |prefix: &str| {
            let lines = text.lines().filter(|line| line.starts_with(prefix));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
        };
        Self {
            healthy: sum("hezar_pool_nodes{state=\"healthy\"}"),
            suspect: sum("hezar_pool_nodes{state=\"suspect\"}"),
            dead: sum("hezar_pool_nodes{state=\"dead\"}"),
            held: sum("hezar_probe_total{result=\"held\""),
            probes: sum("hezar_probe_total{"),
            guard: sum("hezar_probe_guard "),
        }
    }

    /// Every node is still one that serves.
    fn kept(self, what: &str) -> Self {
        assert_eq!((self.dead, self.healthy + self.suspect), (0, NODES), "{what}: {self:?}");
        self
    }
}

/// A page beside the world that anybody reaches whose uplink works.
struct Uplink {
    address: SocketAddr,
    works: Arc<AtomicBool>,
}

impl Uplink {
    fn up() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, works) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
        let open = Arc::clone(&works);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                if open.load(Relaxed) && stream.read(&mut [0; 1024]).is_ok() {
                    // A client that has gone needs no answer.
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
                }
            }
        });
        Self { address, works }
    }

    fn cut(&self) {
        self.works.store(false, Relaxed);
    }

    fn restore(&self) {
        self.works.store(true, Relaxed);
    }
}
