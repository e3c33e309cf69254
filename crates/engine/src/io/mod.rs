//! The building blocks of streams that do not depend on a protocol: buffers, encrypted chunks, headers in front of the payload.

pub(crate) mod activity;
pub(crate) mod aead;
pub(crate) mod codec_stream;
pub(crate) mod copy;
pub(crate) mod first_write;
pub(crate) mod header_stream;
pub(crate) mod http_head;
pub(crate) mod name_lookup;
pub(crate) mod prefixed;
pub(crate) mod read_buffer;
pub(crate) mod read_through;
pub(crate) mod write_buffer;
