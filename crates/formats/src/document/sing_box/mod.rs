//! sing-box: the entries of `outbounds` and `endpoints`.

mod carrier;
mod outbound;
mod profile;
pub(super) mod read;
pub(super) mod shadow_tls;
pub(crate) mod write;
