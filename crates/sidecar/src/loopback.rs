//! Where cores listen for this process.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use crate::CoreError;

/// A port of the loopback interface that is free now. Somebody else may take it meanwhile: then the core does not become ready.
///
/// # Errors
/// [`CoreError::NoPort`].
pub(crate) async fn free_address() -> Result<SocketAddr, CoreError> {
    let address = async { TcpListener::bind(("127.0.0.1", 0)).await?.local_addr() };
    address.await.map_err(CoreError::NoPort)
}

/// Whether all of these accept connections.
pub(crate) async fn accept(listeners: &[SocketAddr]) -> bool {
    for listener in listeners {
        if TcpStream::connect(listener).await.is_err() {
            return false;
        }
    }
    true
}

/// Whether a program of this user listens at all of these, and not one of another user who was faster. True where the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn are_own(listeners: &[SocketAddr]) -> bool {
    let Ok(table) = std::fs::read_to_string("/proc/net/tcp") else { return true };
    let own = rustix::process::geteuid().as_raw();
    listeners.iter().all(|listener| owner_in(&table, *listener).is_none_or(|owner| owner == own))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn are_own(_: &[SocketAddr]) -> bool {
    true
}

/// The user whose program listens at an IPv4 address, by the table of sockets (proc(5), `/proc/net/tcp`).
#[cfg(target_os = "linux")]
fn owner_in(table: &str, listener: SocketAddr) -> Option<u32> {
    const LISTEN: &str = "0A";
    let std::net::IpAddr::V4(ip) = listener.ip() else { return None };
    // The address is written as a number of this machine's byte order.
    let wanted = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), listener.port());
    table.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        if local != wanted || state != LISTEN {
            return None;
        }
        // Queues, timer and retransmissions stand between.
        fields.nth(3)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_listener_of_this_user_is_known_from_one_of_another() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n   \
                     1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 4712 1\n";
        if cfg!(target_endian = "little") {
            assert_eq!(owner_in(table, "127.0.0.1:8080".parse().unwrap()), Some(1000));
            assert_eq!(owner_in(table, "127.0.0.1:8081".parse().unwrap()), None, "it does not listen");
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        assert_eq!(owner_in(&table, address), Some(rustix::process::geteuid().as_raw()));
        assert!(are_own(&[address]));
    }
}
