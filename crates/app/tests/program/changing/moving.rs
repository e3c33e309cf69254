//! Listeners move, also onto each other's addresses, and nobody finds a door closed meanwhile.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use hezar_lab::{World, WorldConfig};
use serde_json::json;

use super::{CONFIG, Client, echoes};
use crate::harness::{Home, eventually, tunnel};

/// A loopback address that no other test uses, so that its ports are free.
fn own_address() -> IpAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 93, high, low).into()
}

/// Connects every few milliseconds until it is told to stop; returns how often, and how often it was refused.
fn knock(address: SocketAddr, stop: &Arc<AtomicBool>) -> thread::JoinHandle<(usize, usize)> {
    let stop = Arc::clone(stop);
    thread::spawn(move || {
        let (mut tries, mut refused) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            let connected = TcpStream::connect(address);
            refused += usize::from(connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
            tries += 1;
            // So that the system does not run out of ports.
            thread::sleep(Duration::from_millis(5));
        }
        (tries, refused)
    })
}

#[cfg(target_os = "linux")]
#[test]
fn a_listener_with_ports_moves_and_its_ports_stay_open() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::start(WorldConfig::healthy(3))).unwrap();
    let home = Home::new();
    home.write("first.txt", world.links());
    // What runs at an address that is left is not ended by the time that this test takes.
    let config = format!("[proxy]\ndrain = \"5m\"\n{CONFIG}");
    home.write("hezar.toml", &config);
    let instance = home.start(&[]);
    let client = Client::new(instance.api);
    let mut held = eventually("a tunnel", || tunnel(instance.listener("stays")));
    let ip = own_address();
    let at = |port: u16| SocketAddr::new(ip, port);
    let listen = |port: u16| format!("listen={}", at(port));
    home.run(&["listener", "add", "ranged", &listen(24_010), "ports=24000-24002"]).good();
    let mut of_port = eventually("a tunnel of a port", || tunnel(at(24_001)));

    // It moves to another port of its address, then onto one of its own ports, and somewhere else altogether.
    let stop = Arc::new(AtomicBool::new(false));
    let knocking = knock(at(24_001), &stop);
    for (to, ports) in [(24_011, "24000-24002"), (24_002, "24000-24001"), (24_012, "24000-24003")] {
        home.run(&["listener", "edit", "ranged", &listen(to), &format!("ports={ports}")]).good();
        for port in [to, 24_000, 24_001] {
            assert!(tunnel(at(port)).is_some(), "{port} while it listens on {to}");
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (tries, refused) = knocking.join().unwrap();
    assert!(tries > 0 && refused == 0, "{refused} of {tries} connections were refused");
    for gone in [24_010, 24_011] {
        eventually("the old address is closed", || TcpStream::connect(at(gone)).is_err().then_some(()));
    }
    echoes(&mut of_port, "a tunnel of the port drains");

    // An address that is taken is named, by whom it is taken, and nothing has changed.
    home.run(&["listener", "add", "third", &listen(24_003)]).refused(1, &["24003 is taken already", "ports"]);
    let foreign = TcpListener::bind(at(24_020)).unwrap();
    home.run(&["listener", "edit", "ranged", &listen(24_020)]).refused(1, &["cannot listen on", "24020", "in use"]);
    home.run(&["listener", "edit", "ranged", "ports=24019-24020"]).refused(1, &["cannot listen on", "24020", "ports"]);
    drop(foreign);
    let (_, ranged) = client.ask("GET", "/api/v1/listeners/ranged", "");
    assert_eq!(
        (&ranged["address"], &ranged["value"]["ports"]),
        (&json!(at(24_012).to_string()), &json!("24000-24003"))
    );
    assert!(tunnel(at(24_003)).is_some());
    home.run(&["listener", "remove", "ranged"]).good();
    eventually("it is closed", || TcpStream::connect(at(24_001)).is_err().then_some(()));

    // Two listeners of the file change their addresses with each other, and get other names.
    let listener = |name: &str, port: u16| format!("[[listener]]\nname = \"{name}\"\nlisten = \"{}\"\n", at(port));
    for (one, other) in [(("a", 24_030), ("b", 24_031)), (("a", 24_031), ("b", 24_030)), (("c", 24_031), ("a", 24_030))]
    {
        home.write("hezar.toml", [&*config, &listener(one.0, one.1), &listener(other.0, other.1)].concat());
        home.run(&["reload"]).good();
        for (name, port) in [one, other] {
            let (_, shown) = client.ask("GET", &format!("/api/v1/listeners/{name}"), "");
            assert_eq!(shown["address"], at(port).to_string(), "{name}");
            assert!(tunnel(at(port)).is_some(), "{name}");
        }
    }
    echoes(&mut held, "all of it");
    drop((held, of_port));
    instance.terminate();
    runtime.block_on(world.shutdown());
}
