//! Members know each other: each has a name of its own, does its roles, is drained, and shares the sources with the others.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hezar_interop::harness::eventually;
use hezar_lab::cluster::Member;
use serde_json::Value;

use crate::{
    load::request,
    stage::{Stage, know_healthy},
};

const NODES: usize = 30;

/// What a member says of another one, or of itself.
fn instance(member: &Member, name: &str) -> Option<Value> {
    let instances = member.get("/api/v1/instances")?;
    instances.as_array()?.iter().find(|instance| instance["name"] == name).cloned()
}

/// Waits until a member says that of another one.
fn says(member: &Member, name: &str, what: &str, holds: impl Fn(&Value) -> bool) {
    eventually(&format!("{} says of {name}: {what}", member.name), || {
        instance(member, name).filter(|instance| holds(instance)).map(drop)
    });
}

#[test]
fn a_name_belongs_to_one_living_process_and_comes_back_after_a_crash() {
    let Some((stage, [])) = Stage::open("cluster: names", NODES, []) else { return };
    let cluster = &stage.cluster;
    let mut one = cluster.member("one", "fetch,probe,api").unwrap();
    let gateway = cluster.member("gateway", "gateway,api").unwrap();
    know_healthy([&one, &gateway], NODES);
    says(&gateway, "one", "it lives", |one| one["state"] == "living" && one["owned"] == NODES);
    let mut rival = cluster.namesake("other", "one", "gateway,api").unwrap();
    eventually("the end of the second process of the same name", || rival.has_ended().then_some(()));
    let log = rival.log();
    assert!(log.contains("another instance named \"one\"") && log.contains("cluster.name"), "{log}");
    says(&gateway, "one", "it is the first one", |one| one["roles"].as_array().unwrap().len() == 3);
    // Killed and started again at once it has its name, and serves meanwhile.
    let pid = one.pid();
    one.start_again().unwrap();
    assert_ne!(one.pid(), pid);
    says(&gateway, "one", "the new process lives", |instance| instance["pid"].as_u64() == one.pid().map(u64::from));
    assert!(!one.has_ended(), "{}", one.log());
    // Whoever ends in peace is off the list at once; whoever is killed is gone after ten seconds.
    gateway.signal("TERM").unwrap();
    eventually("the gateway has left", || instance(&one, "gateway").is_none().then_some(()));
    let third = cluster.member("third", "probe").unwrap();
    says(&one, "third", "it lives", |third| third["state"] == "living");
    drop(third);
    says(&one, "third", "it is gone", |third| third["state"] == "gone");
}

#[test]
fn each_does_its_roles_and_nothing_else() {
    let Some((stage, [])) = Stage::open("cluster: roles", NODES, []) else { return };
    let cluster = &stage.cluster;
    let gateway = cluster.member("gateway", "gateway").unwrap();
    let api = cluster.member("api", "api").unwrap();
    let fetcher = cluster.member("fetcher", "fetch").unwrap();
    eventually("the fetched nodes", || (api.get("/api/v1/status")?["nodes"]["new"] == NODES).then_some(()));
    assert!(!gateway.is_ready(), "nobody has probed anything");
    let prober = cluster.member("prober", "probe").unwrap();
    eventually("a ready gateway", || gateway.is_ready().then_some(()));
    know_healthy([&api], NODES);
    for idle in [&fetcher, &prober, &api] {
        assert!(request(idle.proxy, None).is_err(), "{} serves clients", idle.name);
        assert!(idle.is_ready(), "{}", idle.name);
    }
    request(gateway.proxy, None).unwrap();
    for quiet in [&gateway, &fetcher, &prober] {
        let answer = quiet.ask("GET", "/api/v1/status", "");
        assert!(answer.status == 421 && answer.body.contains("api-other-role"), "{}: {answer:?}", quiet.name);
        eventually("all members in the metrics", || (quiet.metric("hezar_cluster_member") >= 4.0).then_some(()));
    }
    eventually("the prober's share", || (prober.metric("hezar_probe_scheduled") as usize == NODES).then_some(()));
    assert_eq!(gateway.metric("hezar_probe_scheduled") as usize, 0);
    // A probe that somebody asks for is made where it is asked for.
    let answer = api.ask("POST", "/api/v1/probe", r#"{"wait":30}"#);
    let report: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!((report["asked"].as_u64(), report["works"].as_u64()), (Some(NODES as u64), Some(NODES as u64)));
}

#[test]
fn a_drained_member_gets_no_clients_and_gives_its_nodes_up() {
    let Some((stage, [])) = Stage::open("cluster: drain", NODES, []) else { return };
    let cluster = &stage.cluster;
    let one = cluster.member("one", "fetch,probe,gateway,api").unwrap();
    let other = cluster.member("other", "fetch,probe,gateway,api").unwrap();
    know_healthy([&one, &other], NODES);
    eventually("both are ready", || (one.is_ready() && other.is_ready()).then_some(()));
    assert_eq!(one.ask("POST", "/api/v1/instances/absent/drain", "").status, 404);
    assert_eq!(one.ask("POST", "/api/v1/instances/other/drain", "").status, 200);
    eventually("the other one is not ready", || (!other.is_ready()).then_some(()));
    assert!(other.ask("GET", "/readyz", "").body.contains("drains"));
    says(&one, "other", "it is drained and probes nothing", |it| it["state"] == "draining" && it["owned"] == 0);
    says(&one, "one", "it probes all", |it| it["owned"] == NODES);
    assert!(one.is_ready());
    request(other.proxy, None).unwrap();
    assert_eq!(other.ask("POST", "/api/v1/instances/other/undrain", "").status, 200);
    eventually("the other one is ready again", || other.is_ready().then_some(()));
    says(&one, "other", "it probes its share", |it| it["state"] == "living" && it["owned"] != 0);
}

/// A list behind HTTP, and how often it was read.
fn counted_list(links: &str) -> (SocketAddr, Arc<AtomicUsize>) {
    let (listener, count) = (TcpListener::bind("127.0.0.1:0").unwrap(), Arc::new(AtomicUsize::new(0)));
    let (address, counted, body) = (listener.local_addr().unwrap(), Arc::clone(&count), links.to_owned());
    // It ends with the test program.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            if !matches!(stream.read(&mut [0; 4096]), Ok(1..)) {
                continue;
            }
            counted.fetch_add(1, Ordering::Relaxed);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    (address, count)
}

#[test]
fn fetchers_share_the_sources_and_are_asked_from_anywhere() {
    let Some((mut stage, [])) = Stage::open("cluster: sources", NODES, []) else { return };
    let (often, read_often) = counted_list("socks5://127.77.0.1:9#often");
    let (seldom, read_seldom) = counted_list("socks5://127.77.0.2:9#seldom");
    stage.cluster.extra = format!(
        "[[source]]\nname = \"often\"\nurl = \"http://{often}/\"\ninterval = \"2s\"\nallow_private = true\n\
         [[source]]\nname = \"seldom\"\nurl = \"http://{seldom}/\"\ninterval = \"1h\"\nallow_private = true\n"
    );
    let cluster = &stage.cluster;
    let mut fetchers =
        vec![cluster.member("fetcher-1", "fetch").unwrap(), cluster.member("fetcher-2", "fetch").unwrap()];
    let api = cluster.member("api", "api").unwrap();
    eventually("both lists", || {
        let nodes = api.get("/api/v1/status")?["nodes"]["new"].as_u64()?;
        (nodes == NODES as u64 + 2).then_some(())
    });
    assert_eq!(read_seldom.load(Ordering::Relaxed), 1, "two fetchers, one reading");
    let (before, began) = (read_often.load(Ordering::Relaxed), Instant::now());
    thread::sleep(Duration::from_secs(12));
    let intervals = began.elapsed().as_secs_f64() / 2.0;
    let each = (read_often.load(Ordering::Relaxed) - before) as f64 / intervals;
    println!("cluster: 2 fetchers: {each:.2} readings of a source per interval");
    assert!((0.3..1.5).contains(&each), "{each}");

    // Asked where no source is read, and answered when one has read it.
    let answer = api.ask("POST", "/api/v1/fetch", r#"{"sources":["seldom"],"wait":30}"#);
    let report: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (report["pending"].as_u64(), report["sources"][0]["nodes"].as_u64()),
        (Some(0), Some(1)),
        "{}",
        answer.body
    );
    assert_eq!(read_seldom.load(Ordering::Relaxed), 2);

    // One dies: the other one reads on.
    fetchers.remove(0).kill();
    let (killed, before) = (Instant::now(), read_often.load(Ordering::Relaxed));
    eventually("a reading by the fetcher that is left", || {
        (read_often.load(Ordering::Relaxed) > before + 1).then_some(())
    });
    println!("cluster: sources are read again {:.1} s after a fetcher was killed", killed.elapsed().as_secs_f64());
}

#[test]
fn members_are_replaced_one_by_one_and_no_request_fails() {
    const MEMBERS: usize = 3;
    let Some((stage, [])) = Stage::open("cluster: upgrades", NODES, []) else { return };
    let mut members: Vec<Member> = (0..MEMBERS)
        .map(|number| stage.cluster.member(&format!("member-{number}"), "fetch,probe,gateway,api").unwrap())
        .collect();
    know_healthy(&members, NODES);
    let proxies: Vec<SocketAddr> = members.iter().map(|member| member.proxy).collect();
    let (asked, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, lost, stop) = (Arc::clone(&asked), Arc::clone(&failed), Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop);
    let asking = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            for proxy in &proxies {
                counted.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = request(*proxy, None) {
                    lost.fetch_add(1, Ordering::Relaxed);
                    println!("cluster: a request to {proxy} failed: {error}");
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    for index in 0..MEMBERS {
        let old = members[index].pid();
        members[index].take_over().unwrap();
        assert_ne!(members[index].pid(), old);
        let (member, other) = (&members[index], &members[(index + 1) % MEMBERS]);
        let pid = member.pid().map(u64::from);
        says(other, &member.name, "the new process lives and probes", |it| {
            it["pid"].as_u64() == pid && it["state"] == "living" && it["owned"] != 0
        });
    }
    let shares = || {
        let instances = members[0].get("/api/v1/instances")?;
        Some(instances.as_array()?.iter().filter_map(|instance| instance["owned"].as_u64()).sum::<u64>())
    };
    eventually("every node has one prober", || (shares()? == NODES as u64).then_some(()));
    stop.store(true, Ordering::Relaxed);
    asking.join().unwrap();
    println!("cluster: {} requests while {MEMBERS} members were replaced", asked.load(Ordering::Relaxed));
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    for member in &mut members {
        assert!(!member.has_ended(), "{}", member.log());
    }
}
