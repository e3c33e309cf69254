//! One TCP connection inside a tunnel.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use smoltcp::{
    iface::SocketHandle,
    socket::tcp::{RecvError, Socket, State},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tunnel::Tunnel;
use crate::{Cause, Stream};

/// The connection. Dropping it closes it.
pub(super) struct TunnelStream {
    tunnel: Arc<Tunnel>,
    handle: SocketHandle,
}

impl TunnelStream {
    /// Connects to `target`.
    ///
    /// # Errors
    /// [`Cause::TargetUnreachable`] when it refuses.
    pub(super) async fn connect(tunnel: Arc<Tunnel>, target: SocketAddr) -> Result<Self, Cause> {
        let handle = {
            let mut stack = tunnel.stack.lock();
            if stack.over {
                return Err(Cause::Closed);
            }
            stack.connect(target)?
        };
        let stream = Self { tunnel, handle };
        stream.tunnel.changed.notify_one();
        poll_fn(|cx| stream.poll_connected(cx)).await?;
        Ok(stream)
    }

    fn poll_connected(&self, cx: &Context<'_>) -> Poll<Result<(), Cause>> {
        let mut stack = self.tunnel.stack.lock();
        let over = stack.over;
        let socket = stack.sockets.get_mut::<Socket<'_>>(self.handle);
        match socket.state() {
            State::SynSent | State::SynReceived => {
                socket.register_send_waker(cx.waker());
                Poll::Pending
            }
            State::Closed if over => Poll::Ready(Err(Cause::Closed)),
            State::Closed => Poll::Ready(Err(Cause::TargetUnreachable("it refused the connection"))),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Runs a step on the socket, and wakes the tunnel's task when bytes were moved.
    fn step(&self, step: impl FnOnce(&mut Socket<'_>) -> Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let result = step(self.tunnel.stack.lock().sockets.get_mut::<Socket<'_>>(self.handle));
        if matches!(result, Poll::Ready(Ok(1..))) {
            self.tunnel.changed.notify_one();
        }
        result
    }
}

impl AsyncRead for TunnelStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let result = self.step(|socket| match socket.recv_slice(out.initialize_unfilled()) {
            Ok(0) => {
                socket.register_recv_waker(cx.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(Err(Cause::Reset.into())),
        });
        result.map_ok(|length| out.advance(length))
    }
}

impl Stream for TunnelStream {}

impl AsyncWrite for TunnelStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, payload: &[u8]) -> Poll<io::Result<usize>> {
        if payload.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.step(|socket| match socket.send_slice(payload) {
            Ok(0) => {
                socket.register_send_waker(cx.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(_) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        })
    }

    /// The tunnel's task sends what the socket holds, so there is nothing to do.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tunnel.stack.lock().sockets.get_mut::<Socket<'_>>(self.handle).close();
        self.tunnel.changed.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl Drop for TunnelStream {
    fn drop(&mut self) {
        self.tunnel.stack.lock().leave(self.handle);
        self.tunnel.changed.notify_one();
    }
}
