//! What a stream of sealed chunks needs to know of its protocol.

use std::ops::Range;

use tokio::io::ReadBuf;

use crate::Cause;

/// A protocol's bytes, without any I/O. The first `seal` (or `finish`) puts the protocol's header in front.
pub(crate) trait Codec: Send + Sync + Unpin + 'static {
    /// Appends a piece of `payload` to `wire` and returns its length, which is above 0 unless `payload` is empty. An
    /// empty payload only makes the header go.
    ///
    /// # Errors
    /// [`Cause`] when the cipher refuses.
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause>;

    /// Appends the mark that ends our side, where the protocol has one; the end of the connection follows it.
    ///
    /// # Errors
    /// [`Cause`] when the cipher refuses.
    fn finish(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause>;

    /// Takes one step through the received bytes. Opened text goes to `out` where there is room for the whole piece.
    ///
    /// # Errors
    /// [`Cause::Authentication`] or [`Cause::Protocol`] when the bytes are not what the protocol allows.
    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause>;

    /// Whether the connection may end here, between two chunks and after the answer's header.
    fn may_end(&self) -> bool;

    /// Whether our side is over too after [`Codec::open`] has failed of `cause`; appends what the protocol says then.
    fn refuse(&mut self, cause: &Cause, wire: &mut Vec<u8>) -> bool {
        let _ = (cause, wire);
        false
    }
}

/// Opens everything that `wire` holds, for the fuzz targets.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn open_all(codec: &mut impl Codec, mut wire: Vec<u8>) {
    let mut text = [0; 256];
    let mut rest = wire.as_mut_slice();
    while let Ok(Opened::Used(used @ 1..) | Opened::Held(used @ 1.., _)) =
        codec.open(rest, &mut ReadBuf::new(&mut text))
    {
        rest = std::mem::take(&mut rest).get_mut(used..).unwrap_or_default();
    }
}

/// One step of [`Codec::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Nothing can be done before this many bytes are there.
    Need(usize),
    /// So many bytes are used up; their text, if any, went to the reader.
    Used(usize),
    /// So many bytes are used up; their text lies open in this range of them.
    Held(usize, Range<usize>),
    /// The server has ended its side.
    End,
}
