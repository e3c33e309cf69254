//! Writers of forms that lists come in, besides links, Clash and sing-box.

pub(crate) mod addresses;
pub(crate) mod surge;
pub(crate) mod xray;
