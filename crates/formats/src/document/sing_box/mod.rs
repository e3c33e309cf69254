//! sing-box: the entries of `outbounds` and `endpoints`.

pub(super) mod read;
pub(crate) mod write;
