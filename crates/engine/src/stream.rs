//! The two shapes of traffic: a stream of bytes and a flow of datagrams.

use tokio::io::{AsyncRead, AsyncWrite};

use crate::Datagram;

/// Anything that reads and writes bytes.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static> Stream for T {}

/// An open stream, whatever it is made of.
pub type BoxStream = Box<dyn Stream>;

/// An open datagram association, whatever carries it.
pub type BoxDatagram = Box<dyn Datagram>;
