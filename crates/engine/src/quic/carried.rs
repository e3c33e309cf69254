//! A QUIC socket whose packets travel through another node: the server's name is looked up there.

use std::{
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hezar_core::Target;
use parking_lot::Mutex;
use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tokio_util::task::AbortOnDropHandle;

use crate::{BoxDatagram, io::copy::copy_packet};

/// The most packets that wait in each direction. More are dropped, as in a network.
const MOST_WAITING: usize = 256;
/// The longest packet, in bytes.
const MOST_PACKET: usize = 2048;

/// The socket. Dropping it ends the association.
#[derive(Debug)]
pub(super) struct CarriedSocket {
    outgoing: Sender<(u16, Box<[u8]>)>,
    incoming: Mutex<Receiver<(u16, Box<[u8]>)>>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

impl CarriedSocket {
    /// Sends to `server` through `association`.
    pub(super) fn new(association: BoxDatagram, server: Target) -> Self {
        let association: Arc<dyn crate::Datagram> = association.into();
        let (outgoing, mut to_send) = channel::<(u16, Box<[u8]>)>(MOST_WAITING);
        let (received, incoming) = channel(MOST_WAITING);
        let sending = Arc::clone(&association);
        let send = async move {
            while let Some((port, packet)) = to_send.recv().await {
                let Ok(target) = Target::new(server.host().clone(), port) else { continue };
                // A packet that the node does not take counts as lost. The other task notices the end of the association.
                let _ = sending.send_to(&packet, &target).await;
            }
        };
        let receive = async move {
            let mut buffer = vec![0; MOST_PACKET];
            while let Ok((length, from)) = association.recv_from(&mut buffer).await {
                let packet = buffer.get(..length).unwrap_or_default().into();
                if let Err(TrySendError::Closed(_)) = received.try_send((from.port(), packet)) {
                    break;
                }
            }
        };
        let tasks = [tokio::spawn(send), tokio::spawn(receive)].map(AbortOnDropHandle::new);
        Self { outgoing, incoming: Mutex::new(incoming), _tasks: tasks }
    }

    /// The address that QUIC takes for the server's: one for documentation (RFC 5737), since the real one is not known here.
    pub(super) fn believed(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }
}

impl AsyncUdpSocket for CarriedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.outgoing.try_send((transmit.destination.port(), transmit.contents.into())) {
            Ok(()) | Err(TrySendError::Full(_)) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (bufs.first_mut(), metas.first_mut()) else { return Poll::Ready(Ok(0)) };
        match ready!(self.incoming.lock().poll_recv(cx)) {
            Some((port, packet)) => {
                let length = copy_packet(&packet, buffer);
                *meta = RecvMeta { addr: Self::believed(port), len: length, stride: length, ..RecvMeta::default() };
                Poll::Ready(Ok(1))
            }
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

/// Of a socket that drops packets for which it has no room.
#[derive(Debug)]
pub(super) struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
