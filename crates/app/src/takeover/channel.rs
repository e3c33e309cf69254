//! A connection over a Unix socket: frames of JSON, each with its length in front, and listening sockets (SCM_RIGHTS, unix(7)).

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use anyhow::{Context, bail};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{io::Interest, net::UnixStream, sync::Mutex, time::timeout};

/// The longest frame, in bytes: a report with 100,000 sessions fits.
const MOST_BYTES: usize = 64 << 20;
/// Sockets that one message carries; Linux takes 253 (SCM_MAX_FD).
const SOCKETS_AT_ONCE: usize = 64;
/// The most sockets that are handed over.
const MOST_SOCKETS: usize = 1 << 17;
/// How long the other side may take to read what it is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);

/// One side of a connection.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    /// Held while a frame is written, so that frames of two tasks do not mix.
    writing: Mutex<()>,
}

impl Channel {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, writing: Mutex::new(()) }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The connection has ended, or the other side does not read.
    pub(crate) async fn send(&self, message: &impl Serialize) -> anyhow::Result<()> {
        let body = serde_json::to_vec(message)?;
        let length = u32::try_from(body.len()).ok().filter(|length| *length as usize <= MOST_BYTES);
        let mut frame = length.context("the message is too long")?.to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        let _alone = self.writing.lock().await;
        timeout(WRITE_TIMEOUT, self.write_all(&frame)).await.context("the other process does not read")??;
        Ok(())
    }

    async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.writable().await?;
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next message, which may take up to `longest`; only one task receives.
    ///
    /// # Errors
    /// It takes longer, the connection has ended, or it is no message of this kind.
    pub(crate) async fn receive<T: DeserializeOwned>(&self, longest: Duration) -> anyhow::Result<T> {
        let frame = timeout(longest, self.receive_frame()).await;
        let frame = frame.with_context(|| format!("the other process was silent for {} s", longest.as_secs()))??;
        serde_json::from_slice(&frame).context("the other process speaks another version")
    }

    async fn receive_frame(&self) -> anyhow::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.read_exact(&mut length).await?;
        let length = u32::from_be_bytes(length) as usize;
        if length > MOST_BYTES {
            bail!("the other process sends too long a message");
        }
        // Room is made as the bytes come: a length alone costs nothing.
        let mut frame = Vec::new();
        while frame.len() < length {
            let begin = frame.len();
            frame.resize(length.min(begin + (64 << 10)), 0);
            self.read_exact(frame.get_mut(begin..).unwrap_or_default()).await?;
        }
        Ok(frame)
    }

    /// Reads no byte beyond `bytes`: sockets that follow would be lost.
    async fn read_exact(&self, mut bytes: &mut [u8]) -> anyhow::Result<()> {
        while !bytes.is_empty() {
            self.stream.readable().await?;
            match self.stream.try_read(bytes) {
                Ok(0) => {
                    let end = io::Error::from(io::ErrorKind::UnexpectedEof);
                    return Err(end).context("the other process has ended the conversation");
                }
                Ok(read) => bytes = bytes.get_mut(read..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("the conversation with the other process broke off"),
            }
        }
        Ok(())
    }

    /// Sends sockets; the other side knows how many.
    ///
    /// # Errors
    /// The connection has ended, or the other side does not read.
    pub(crate) async fn send_sockets(&self, sockets: &[impl AsFd]) -> anyhow::Result<()> {
        let _alone = self.writing.lock().await;
        for some in sockets.chunks(SOCKETS_AT_ONCE) {
            let descriptors: Vec<BorrowedFd<'_>> = some.iter().map(AsFd::as_fd).collect();
            let sent = self.stream.async_io(Interest::WRITABLE, || send_descriptors(&self.stream, &descriptors));
            timeout(WRITE_TIMEOUT, sent).await.context("the other process takes no sockets")??;
        }
        Ok(())
    }

    /// Receives this many sockets, in their order.
    ///
    /// # Errors
    /// They do not come within `longest`, or there are too many.
    pub(crate) async fn receive_sockets(&self, count: usize, longest: Duration) -> anyhow::Result<Vec<OwnedFd>> {
        if count > MOST_SOCKETS {
            bail!("the other process hands over too many sockets");
        }
        let receive = async {
            let mut sockets = Vec::new();
            while sockets.len() < count {
                let received = self.stream.async_io(Interest::READABLE, || receive_descriptors(&self.stream)).await?;
                if received.is_empty() {
                    bail!("the other process has not sent its sockets");
                }
                sockets.extend(received);
            }
            Ok(sockets)
        };
        timeout(longest, receive).await.context("the sockets did not come in time")?
    }
}

/// Whether a conversation failed because the other process is not there any more.
pub(super) fn is_end(error: &anyhow::Error) -> bool {
    use io::ErrorKind as Kind;
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe | Kind::NotConnected))
}

fn send_descriptors(stream: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_AT_ONCE))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // One byte carries them.
    sendmsg(stream, &[IoSlice::new(b"s")], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_descriptors(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    #[cfg(target_os = "linux")]
    let flags = RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let flags = RecvFlags::empty();
    recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
    let mut received = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            received.extend(descriptors);
        }
    }
    for descriptor in &received {
        // Programs that this one starts do not get them.
        fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    fn pair() -> (Channel, Channel) {
        let (one, other) = UnixStream::pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    #[tokio::test]
    async fn messages_and_sockets_keep_their_order() {
        let (one, other) = pair();
        let bound: Vec<TcpListener> = (0..150).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let addresses: Vec<_> = bound.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let long = "x".repeat(1 << 20);
        let sending = async {
            one.send(&long).await.unwrap();
            one.send_sockets(&bound).await.unwrap();
            one.send(&"behind").await.unwrap();
        };
        let receiving = async {
            assert_eq!(other.receive::<String>(SOON).await.unwrap(), long);
            let sockets = other.receive_sockets(150, SOON).await.unwrap();
            let received: Vec<_> =
                sockets.into_iter().map(|socket| TcpListener::from(socket).local_addr().unwrap()).collect();
            assert_eq!(other.receive::<String>(SOON).await.unwrap(), "behind");
            received
        };
        let ((), received) = tokio::join!(sending, receiving);
        assert_eq!(received, addresses);
    }

    #[tokio::test]
    async fn what_is_no_message_and_an_end_are_errors() {
        let (one, other) = pair();
        one.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
        assert!(other.receive::<String>(SOON).await.unwrap_err().to_string().contains("too long"));
        let (one, other) = pair();
        one.send(&7).await.unwrap();
        assert!(other.receive::<String>(SOON).await.is_err());
        one.write_all(&[0, 0]).await.unwrap();
        drop(one);
        assert!(other.receive::<String>(SOON).await.unwrap_err().to_string().contains("ended"));
        let (one, other) = pair();
        one.send(&"no socket comes with this").await.unwrap();
        assert!(other.receive_sockets(1, SOON).await.is_err());
    }
}
