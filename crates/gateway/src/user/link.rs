//! The links of a user: several ways in, each with options of its own.

use hezar_core::settings;

use super::DefaultOptions;
use crate::inbound_settings::LinkSession;

/// The most links of one user, beside the one without a name.
pub const MOST_USER_LINKS: usize = 64;

settings! {
    /// A further link of a user for encrypted listeners. The link without a name, which every user with a key has, has the user's own options.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct UserLink in "links" {
        /// Its name, which no other link of the user has; clients show it.
        pub name: Box<str> [1..=32] = "".into();
        /// Options as behind a user name, such as `country-de`; what they do not say is as the user's own options say.
        pub options: DefaultOptions = DefaultOptions::default();
        /// Which requests share an exit: none beside what the options say, all of the link, or those of one client address.
        pub session: LinkSession = LinkSession::None;
        /// False: nobody comes in by this link.
        pub enabled: bool = true;
    }
}
