//! A real HAProxy in front of gateways, or of databases.

use std::{
    fmt::Write as _,
    fs, io,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{Cluster, Member, free_address, wait_for};

/// A running HAProxy. Dropping it ends it.
#[derive(Debug)]
pub struct Balancer {
    /// Where clients connect.
    pub address: SocketAddr,
    child: Child,
}

const HEAD: &str = "defaults\n    mode tcp\n    option redispatch\n    retries 3\n    timeout connect 2s\n    timeout client 60s\n    \
    timeout server 60s\n    timeout check 2s\n";
const SPRAYING: &str = "    balance roundrobin\n    option httpchk\n    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost \
    hdr Connection close\n    http-check expect status 200\n";

impl Cluster {
    /// HAProxy that sprays connections over the gateways that say that they are ready, as deploy/haproxy does.
    ///
    /// # Errors
    /// It does not start.
    pub fn spray(&self, haproxy: &Path, gateways: &[Member]) -> io::Result<Balancer> {
        let mut backend = SPRAYING.to_owned();
        for Member { name, proxy, api, .. } in gateways {
            // Writing into a text never fails.
            let _ = writeln!(backend, "    server {name} {proxy} check port {} inter 200ms fall 1 rise 1", api.port());
        }
        self.balancer(haproxy, &backend)
    }

    /// HAProxy that passes connections on to the first of these servers that accepts.
    ///
    /// # Errors
    /// It does not start.
    pub fn first_of(&self, haproxy: &Path, servers: &[SocketAddr]) -> io::Result<Balancer> {
        let mut backend = String::new();
        for (number, server) in servers.iter().enumerate() {
            let backup = if number == 0 { "" } else { " backup" };
            let checks = "check inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions";
            let _ = writeln!(backend, "    server s{number} {server} {checks}{backup}");
        }
        self.balancer(haproxy, &backend)
    }

    fn balancer(&self, haproxy: &Path, backend: &str) -> io::Result<Balancer> {
        let (address, file) = (free_address()?, self.folder.join("haproxy.cfg"));
        let config = format!("{HEAD}frontend all\n    bind {address}\n    default_backend all\nbackend all\n{backend}");
        fs::write(&file, config)?;
        let mut command = Command::new(haproxy);
        command.arg("-db").arg("-f").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let balancer = Balancer { address, child: command.spawn()? };
        wait_for("HAProxy", || TcpStream::connect(address).ok())?;
        Ok(balancer)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
