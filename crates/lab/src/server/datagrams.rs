//! SOCKS5 UDP ASSOCIATE (RFC 1928 §7): datagrams to the echo of this world come back, all others are lost.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UdpSocket,
};

use super::read_address;
use crate::targets::{ConnectReply, Service};

/// Serves one association until its client closes the stream.
pub(crate) async fn associate(control: &mut (impl AsyncRead + AsyncWrite + Unpin), at: IpAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((at, 0)).await?;
    let ip = if let IpAddr::V4(ip) = at { ip } else { Ipv4Addr::UNSPECIFIED };
    let [high, low] = socket.local_addr()?.port().to_be_bytes();
    control.write_all(&[&[5, 0, 0, 1], &ip.octets()[..], &[high, low]].concat()).await?;
    control.flush().await?;
    let (mut buffer, mut ignored) = (vec![0; 65_535], [0; 64]);
    loop {
        tokio::select! {
            read = control.read(&mut ignored) => if read? == 0 {
                return Ok(());
            },
            received = socket.recv_from(&mut buffer) => {
                let (length, from) = received?;
                let datagram = buffer.get(..length).unwrap_or_default();
                if echoes(datagram).await {
                    // What cannot be sent is lost, as datagrams are.
                    let _ = socket.send_to(datagram, from).await;
                }
            }
        }
    }
}

/// Whether a datagram is whole and its target is the echo.
async fn echoes(datagram: &[u8]) -> bool {
    let Some(mut rest) = datagram.strip_prefix(&[0, 0, 0]) else { return false };
    let Ok(Some(target)) = read_address(&mut rest).await else { return false };
    ConnectReply::to_target(&target) == ConnectReply::Open(Service::Echo)
}
