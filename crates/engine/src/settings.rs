//! The settings of the engine.

use hezar_core::settings;

settings! {
    /// How nodes are met by TLS.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TlsSettings in "tls" {
        /// True: where a server cannot follow a browser's TLS hello (fp), another hello is tried.
        /// False: such a connection fails, and no watcher ever sees another hello.
        pub own_hello: bool = true;
    }
}
