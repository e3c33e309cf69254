//! mux.cool: many sessions over one stream, as clients of Xray and v2ray multiplex. Its frames, and the server's side of it.

mod channel;
mod datagrams;
mod session;
mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

pub(crate) use self::session::MuxSession;

/// How much of the first frame tells what a connection is for, in bytes.
pub(crate) const FRONT: usize = 4;

/// Whether a connection that begins so has one session alone, of datagrams: XUDP's has the number 0, with which no other begins.
pub(crate) const fn is_xudp([_, _, high, low]: [u8; FRONT]) -> bool {
    high == 0 && low == 0
}
