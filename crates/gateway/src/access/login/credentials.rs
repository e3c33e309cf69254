//! Names and passwords as clients send them: in `Proxy-Authorization` or in a SOCKS login, in UTF-8 or in Latin-1.

use std::{net::IpAddr, sync::Arc};

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{Identity, Login, identify};
use crate::{GatewayConfig, Refusal, access::PasswordChecker};

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a `Proxy-Authorization` says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Basic {
    /// Another scheme than Basic.
    Other,
    /// Basic, and not readable.
    Malformed,
    /// The ways in which the login can be read, the likelier one first.
    Logins(Vec<Login>),
}

/// Reads the value of `Proxy-Authorization` (RFC 7617).
pub(crate) fn basic(value: &[u8]) -> Basic {
    let value = value.trim_ascii();
    let space = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (scheme, token) = value.split_at_checked(space).unwrap_or((value, b""));
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Basic::Other;
    }
    let Ok(decoded) = BASE64.decode(token.trim_ascii()) else { return Basic::Malformed };
    match decoded.iter().position(|byte| *byte == b':') {
        Some(colon) => Basic::Logins(decode_login(
            decoded.get(..colon).unwrap_or_default(),
            decoded.get(colon + 1..).unwrap_or_default(),
        )),
        None => Basic::Malformed,
    }
}

/// The ways in which a name and a password can be read: in UTF-8, which is what we ask for, or in Latin-1, which curl and older
/// clients send (RFC 7617 §2.1 and appendix B).
pub(crate) fn decode_login(name: &[u8], password: &[u8]) -> Vec<Login> {
    let utf8 = || {
        let (name, password) = (std::str::from_utf8(name).ok()?, std::str::from_utf8(password).ok()?);
        Some(Login { name: name.into(), password: password.into() })
    };
    let latin1 = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>().into_boxed_str();
    let mut logins: Vec<Login> = utf8().into_iter().collect();
    if !name.is_ascii() || !password.is_ascii() {
        logins.push(Login { name: latin1(name), password: latin1(password) });
    }
    logins
}

/// Decides who the client is, by the first reading of its login that is somebody's; without any it gave no login.
///
/// # Errors
/// As [`identify`].
pub(crate) async fn identify_decoded(
    config: &Arc<GatewayConfig>,
    logins: &[Login],
    passwords: &PasswordChecker,
    client: IpAddr,
) -> Result<Identity, Refusal> {
    let mut known = identify(config, logins.first(), passwords, client).await;
    for login in logins.iter().skip(1) {
        // Without users any reading is somebody's; the first one stands.
        if matches!(known, Err(Refusal::AuthWrong))
            && let Ok(identity) = identify(config, Some(login), passwords, client).await
        {
            known = Ok(identity);
        }
    }
    known
}
