//! The trait of a protocol that encrypts the payload of a stream, without I/O.

use std::ops::Range;

use tokio::io::ReadBuf;

use crate::Cause;

/// Encodes and decodes the bytes of a protocol, without any I/O. The first `seal` (or `finish`) puts the protocol's header in
/// front.
pub(crate) trait Codec: Send + Sync + Unpin + 'static {
    /// Encrypts a piece of `payload`, appends it to `wire`, and returns its length in bytes, which is above 0 unless `payload` is
    /// empty. With an empty payload only the header is appended.
    ///
    /// # Errors
    /// [`Cause`] when the cipher refuses.
    fn seal(&mut self, payload: &[u8], wire: &mut Vec<u8>) -> Result<usize, Cause>;

    /// Appends what tells the server the end of our side, where the protocol has such a thing. The connection ends after it.
    ///
    /// # Errors
    /// [`Cause`] when the cipher refuses.
    fn finish(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause>;

    /// Decrypts one step of the received bytes. Decrypted text goes to `out` when there is room for the whole piece.
    ///
    /// # Errors
    /// [`Cause::Authentication`] or [`Cause::Protocol`] when the bytes are not what the protocol allows.
    fn open(&mut self, wire: &mut [u8], out: &mut ReadBuf<'_>) -> Result<Opened, Cause>;

    /// Whether the connection may end here: between two chunks, and not before the header of the answer.
    fn may_end(&self) -> bool;

    /// Whether our side ends, too, after [`Codec::open`] has failed with `cause`. Appends what the protocol sends in this case.
    fn refuse(&mut self, cause: &Cause, wire: &mut Vec<u8>) -> bool {
        let _ = (cause, wire);
        false
    }
}

/// Decrypts everything in `wire`, for the fuzz targets.
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
    /// Nothing can be decrypted before so many bytes are there.
    Need(usize),
    /// So many bytes are used up. Their text, if any, was written to the reader.
    Used(usize),
    /// So many bytes are used up. Their decrypted text is in this range of them.
    Held(usize, Range<usize>),
    /// The server has ended its side.
    End,
}
