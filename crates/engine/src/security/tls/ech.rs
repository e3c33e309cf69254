//! Encrypted ClientHello from a node's settings (RFC 9849).

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use hezar_core::Tls;
use rustls::{
    Error,
    client::{EchConfig, EchMode},
    crypto::aws_lc_rs::hpke::ALL_SUPPORTED_SUITES,
};
use rustls_pki_types::EchConfigListBytes;

/// The published configurations. `None` where there is only a place to ask for them (`domain+https://resolver`): clients
/// that get no answer there go on without, and so do we.
pub(super) fn published(tls: &Tls) -> Option<Box<str>> {
    tls.ech.clone().filter(|ech| !ech.contains("://"))
}

/// The mode for a published base64 ECHConfigList.
///
/// # Errors
/// When it cannot be read, or no configuration in it can be used.
pub(super) fn mode(published: &str) -> Result<EchMode, Error> {
    let text = published.trim().trim_end_matches('=');
    let list = STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text));
    let list = list.map_err(|_| Error::General("ech is not base64".into()))?;
    EchConfig::new(EchConfigListBytes::from(list), ALL_SUPPORTED_SUITES).map(EchMode::Enable)
}
