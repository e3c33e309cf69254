//! The decoder of what proxies in front send, for the fuzz target.

use std::hint::black_box;

use crate::read_proxy_header;

/// The header of the PROXY protocol, versions 1 and 2.
pub fn proxy_header(data: &[u8]) {
    let _ = black_box(read_proxy_header(data));
}
