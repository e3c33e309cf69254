//! What the program knows, kept in the store: from the pool and the sessions to rows, and from rows back at a start.

pub(crate) mod nodes;
pub(crate) mod restore;
pub(crate) mod sessions;
pub(crate) mod site_bans;
pub(crate) mod snapshots;
pub(crate) mod status;
pub(crate) mod usage;
