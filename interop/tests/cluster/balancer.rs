//! A real HAProxy in front of gateways, or of databases.

use std::{fs, net::SocketAddr, path::Path};

use hezar_interop::harness::{Running, free_addresses};

use crate::stage::Member;

/// A running HAProxy.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    _running: Running,
    _folder: tempfile::TempDir,
}

const HEAD: &str = "global\n    log stdout format raw daemon info\ndefaults\n    mode tcp\n    log global\n    option redispatch\n    retries 3\n\
     timeout connect 2s\n    timeout client 60s\n    timeout server 60s\n    timeout check 2s\n";

impl Balancer {
    /// Sprays connections over the gateways that say that they are ready, as deploy/haproxy does.
    pub(crate) fn spraying(haproxy: &Path, gateways: &[&Member]) -> Self {
        let servers: String = gateways
            .iter()
            .map(|gateway| {
                let port = gateway.api.port();
                format!("    server {} {} check port {port} inter 200ms fall 1 rise 1\n", gateway.name, gateway.proxy)
            })
            .collect();
        let backend = "    balance roundrobin\n    option httpchk\n    \
             http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost hdr Connection close\n    http-check expect status 200\n";
        Self::start(haproxy, &format!("{backend}{servers}"))
    }

    /// Passes connections on to the first of these that accepts.
    pub(crate) fn first_of(haproxy: &Path, servers: &[SocketAddr]) -> Self {
        let servers = servers.iter().enumerate().map(|(number, server)| {
            let backup = if number == 0 { "" } else { " backup" };
            format!("    server s{number} {server} check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions{backup}\n")
        });
        Self::start(haproxy, &servers.collect::<String>())
    }

    fn start(haproxy: &Path, backend: &str) -> Self {
        let (folder, address) = (tempfile::tempdir().unwrap(), free_addresses(1)[0]);
        let config = format!("{HEAD}frontend all\n    bind {address}\n    default_backend all\nbackend all\n{backend}");
        fs::write(folder.path().join("haproxy.cfg"), config).unwrap();
        let mut running = Running::start(haproxy, &["-W", "-db", "-f", "haproxy.cfg"], folder.path());
        running.accepts(address);
        Self { address, _running: running, _folder: folder }
    }
}
