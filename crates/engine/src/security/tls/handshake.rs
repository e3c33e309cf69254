//! A handshake by rustls, record by record, so that rustls does not read what comes after its last record.
//!
//! At the end rustls gives out the keys, and [`Records`] protects the data from then on.

use std::{future::poll_fn, io, pin::Pin, task::Poll};

use rustls::{
    Error,
    client::{ClientConnectionData, UnbufferedClientConnection},
    server::{ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus},
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::records::{HEADER, Records, record_header};
use crate::{BoxStream, Stream, io::codec_stream::CodecStream};

/// The size of one read, in bytes.
const CHUNK: usize = 4096;

/// The most bytes of a handshake that wait for its next record: rustls takes messages of 64 KiB, and a record has 16.
const MOST_WAITING: usize = 128 * 1024;

/// TLS, as the layers above use it.
pub(crate) type TlsStream = CodecStream<Records>;

/// A connection whose handshake is over.
pub(crate) struct Handshaken<S> {
    /// The connection.
    pub(crate) stream: S,
    pub(super) records: Records,
    /// What came after the handshake.
    received: Vec<u8>,
}

impl<S> Handshaken<S> {
    /// The records of the connection.
    pub(crate) const fn records(&self) -> &Records {
        &self.records
    }

    /// The same over what is beneath the connection.
    pub(crate) fn over<T>(self, beneath: impl FnOnce(S) -> T) -> Handshaken<T> {
        Handshaken { stream: beneath(self.stream), records: self.records, received: self.received }
    }
}

impl<S: Stream> Handshaken<S> {
    /// The same over any stream.
    pub(crate) fn boxed(self) -> Handshaken<BoxStream> {
        self.over(|stream| Box::new(stream) as BoxStream)
    }
}

impl Handshaken<BoxStream> {
    /// The secured stream that follows the handshake.
    pub(crate) fn secured(self) -> TlsStream {
        CodecStream::underway(self.stream, self.records, self.received)
    }
}

/// One side of a handshake by rustls, which has no common type for both.
pub(super) trait HandshakeSide {
    /// What rustls keeps for this side.
    type Data;

    /// Shows whole records to rustls.
    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// Whether rustls gives out something to send before it looks at records.
    fn has_to_send(&self) -> bool;
}

impl HandshakeSide for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(records)
    }

    fn has_to_send(&self) -> bool {
        self.wants_write()
    }
}

impl HandshakeSide for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, records: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(records)
    }

    fn has_to_send(&self) -> bool {
        self.wants_write()
    }
}

/// What rustls waits for.
enum NextAction {
    Go,
    Receive,
    Over,
}

/// Runs the handshake of a client.
///
/// # Errors
/// The error of the stream, [`io::ErrorKind::UnexpectedEof`] when it ends, and [`io::ErrorKind::InvalidData`] around a [`rustls::Error`].
pub(crate) async fn handshake<S>(mut connection: UnbufferedClientConnection, mut stream: S) -> io::Result<Handshaken<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let received = run(&mut connection, &mut stream).await?;
    let records = Records::for_client(connection).map_err(refused)?;
    Ok(Handshaken { stream, records, received })
}

/// Runs the handshake of a server, up to its tickets. Gives the agreed application protocol, too.
///
/// # Errors
/// As [`handshake`].
pub(super) async fn answer<S>(
    mut connection: UnbufferedServerConnection,
    mut stream: S,
) -> io::Result<(Handshaken<S>, Option<Vec<u8>>)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let received = run(&mut connection, &mut stream).await?;
    let alpn = connection.alpn_protocol().map(<[u8]>::to_vec);
    let records = Records::for_server(connection).map_err(refused)?;
    Ok((Handshaken { stream, records, received }, alpn))
}

/// Runs either side until everything is said. Gives what came after the handshake.
async fn run<C, S>(connection: &mut C, stream: &mut S) -> io::Result<Vec<u8>>
where
    C: HandshakeSide,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut incoming, mut outgoing) = (Incoming::default(), Vec::new());
    loop {
        let status = connection.process(incoming.shown());
        let (discard, state) = (status.discard, status.state.and_then(|state| step(state, &mut outgoing)));
        incoming.discard(discard);
        match state {
            Ok(NextAction::Go) => {}
            // What has come is read before anything is sent: it may say that nothing will be heard any more.
            Ok(NextAction::Receive) => {
                if !incoming.show()? {
                    send(&mut outgoing, stream).await?;
                    incoming.read(stream).await?;
                }
            }
            Ok(NextAction::Over) => break,
            Err(error) => {
                send_alert(connection, &mut incoming, outgoing, stream).await;
                return Err(refused(error));
            }
        }
    }
    send(&mut outgoing, stream).await?;
    Ok(incoming.bytes)
}

fn refused(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn step<D>(state: ConnectionState<'_, '_, D>, outgoing: &mut Vec<u8>) -> Result<NextAction, Error> {
    match state {
        ConnectionState::EncodeTlsData(data) => encode(data, outgoing).map(|()| NextAction::Go),
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Ok(NextAction::Go)
        }
        ConnectionState::BlockedHandshake => Ok(NextAction::Receive),
        ConnectionState::WriteTraffic(_) => Ok(NextAction::Over),
        // The peer's end, or data, where rustls was shown nothing but a handshake.
        _ => Err(Error::HandshakeNotComplete),
    }
}

fn encode<D>(mut data: EncodeTlsData<'_, D>, outgoing: &mut Vec<u8>) -> Result<(), Error> {
    let from = outgoing.len();
    let mut encoded = data.encode(&mut []);
    if let Err(EncodeError::InsufficientSize(short)) = &encoded {
        outgoing.resize(from + short.required_size, 0);
        encoded = data.encode(outgoing.get_mut(from..).unwrap_or_default());
    }
    let length = encoded.map_err(|error| Error::General(error.to_string()))?;
    outgoing.truncate(from + length);
    Ok(())
}

async fn send<S: AsyncWrite + Unpin>(outgoing: &mut Vec<u8>, stream: &mut S) -> io::Result<()> {
    if !outgoing.is_empty() {
        stream.write_all(outgoing).await?;
        stream.flush().await?;
        outgoing.clear();
    }
    Ok(())
}

/// Tells the peer why, behind what is still to be sent, if the stream takes it at once.
async fn send_alert<C: HandshakeSide, S: AsyncWrite + Unpin>(
    connection: &mut C,
    incoming: &mut Incoming,
    mut outgoing: Vec<u8>,
    stream: &mut S,
) {
    // It is the last one of what waits. Behind it rustls must not be asked, since it would refuse the same bytes a second time.
    while connection.has_to_send()
        && let Ok(ConnectionState::EncodeTlsData(data)) = connection.process(incoming.shown()).state
    {
        if encode(data, &mut outgoing).is_err() {
            return;
        }
    }
    if outgoing.is_empty() {
        return;
    }
    poll_fn(|cx| {
        if Pin::new(&mut *stream).poll_write(cx, &outgoing).is_ready() {
            let _ = Pin::new(&mut *stream).poll_flush(cx);
        }
        Poll::Ready(())
    })
    .await;
}

/// What came from the peer.
#[derive(Default)]
struct Incoming {
    bytes: Vec<u8>,
    /// Up to here rustls has been shown it: whole records.
    seen: usize,
}

impl Incoming {
    fn shown(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..self.seen).unwrap_or_default()
    }

    fn discard(&mut self, length: usize) {
        self.bytes.drain(..length.min(self.seen));
        self.seen -= length.min(self.seen);
    }

    /// Shows one more record, if it is there.
    fn show(&mut self) -> io::Result<bool> {
        let rest = self.bytes.get(self.seen..).unwrap_or_default();
        let Some((kind, length)) = record_header(rest) else { return Ok(false) };
        // A header that is none has no body: rustls refuses it as soon as it sees it.
        let length = if matches!(kind, 20..=24) { length } else { HEADER };
        if self.seen + length > MOST_WAITING {
            return Err(refused(Error::General("a handshake of impossible length".into())));
        }
        let whole = length <= rest.len();
        self.seen += if whole { length } else { 0 };
        Ok(whole)
    }

    /// Reads more.
    async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<()> {
        self.bytes.reserve(CHUNK);
        if stream.read_buf(&mut self.bytes).await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer has ended the handshake"));
        }
        Ok(())
    }
}
