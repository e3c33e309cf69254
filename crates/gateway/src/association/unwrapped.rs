//! The client's side of an association that an encrypted inbound has unwrapped.

use std::{
    future::poll_fn,
    io,
    task::{Poll, ready},
};

use hezar_core::Target;
use hezar_engine::BoxDatagram;

use super::{ClientDatagrams, Packet, with_arrival_buffer};
use crate::telemetry::ListenerMetrics;

/// Datagrams of one client, without its protocol.
pub(crate) struct UnwrappedDatagrams {
    datagram: BoxDatagram,
    metrics: ListenerMetrics,
}

impl UnwrappedDatagrams {
    /// What is lost on the way to the client counts in `metrics`.
    pub(crate) const fn new(datagram: BoxDatagram, metrics: ListenerMetrics) -> Self {
        Self { datagram, metrics }
    }
}

impl ClientDatagrams for UnwrappedDatagrams {
    async fn receive(&self) -> io::Result<Packet> {
        poll_fn(|cx| {
            with_arrival_buffer(|bytes| {
                let received = ready!(self.datagram.poll_recv_from(cx, bytes));
                Poll::Ready(
                    received.map(|(length, target)| Packet {
                        target,
                        payload: bytes.get(..length).unwrap_or_default().into(),
                    }),
                )
            })
        })
        .await
    }

    async fn send(&self, from: &Target, payload: &[u8]) {
        if self.datagram.send_to(payload, from).await.is_err() {
            self.metrics.dropped("client");
        }
    }
}
