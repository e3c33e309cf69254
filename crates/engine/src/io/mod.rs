//! The building blocks of streams that know no protocol: buffers, sealed chunks, headers before the payload.

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
