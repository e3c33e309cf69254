//! `hezar key`: keys for the configuration file.

use std::process::ExitCode;

use anyhow::anyhow;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hezar_gateway::{RealityPrivateKey, ShadowsocksMethod, UserKey};
use serde_json::json;

use crate::{
    cli::{JsonArgs, KeyCommand},
    output,
};

pub(super) fn key(command: &KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::Reality(args) => reality(*args),
        KeyCommand::Shadowsocks(args) => print(&[("key", shadowsocks_key(&args.method)?)], args.output),
        KeyCommand::User(args) => print(&[("key", UserKey::generate().to_text().expose().to_owned())], *args),
    }
}

fn reality(args: JsonArgs) -> anyhow::Result<ExitCode> {
    let key = RealityPrivateKey::generate();
    let public = key.public_key().ok_or_else(|| anyhow!("the key cannot be made"))?;
    if !args.json {
        output::note(format!("clients know it as {} (pbk)", URL_SAFE_NO_PAD.encode(public)));
        return print(&[("private_key", key.to_text().expose().to_owned())], args);
    }
    print(&[("private_key", key.to_text().expose().to_owned()), ("public_key", URL_SAFE_NO_PAD.encode(public))], args)
}

/// A new server's key of the length that a cipher needs, in base64.
///
/// # Errors
/// The cipher has no keys.
pub(super) fn shadowsocks_key(method: &str) -> anyhow::Result<String> {
    let method = ShadowsocksMethod::ALL.into_iter().find(|known| known.name() == method);
    let length = method.and_then(ShadowsocksMethod::key_length).ok_or_else(|| anyhow!("this cipher has no key"))?;
    let bytes: [u8; 32] = rand::random();
    Ok(STANDARD.encode(bytes.get(..length).unwrap_or_default()))
}

/// Prints lines of the configuration file, or JSON.
fn print(keys: &[(&str, String)], args: JsonArgs) -> anyhow::Result<ExitCode> {
    if args.json {
        let object: serde_json::Map<_, _> = keys.iter().map(|(key, text)| ((*key).to_owned(), json!(text))).collect();
        output::json(&object)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (key, text) in keys {
        output::line(format!("{key} = \"{text}\""))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_length_of_their_cipher() {
        for (method, length) in [("2022-blake3-aes-128-gcm", 16), ("2022-blake3-aes-256-gcm", 32)] {
            assert_eq!(STANDARD.decode(shadowsocks_key(method).unwrap()).unwrap().len(), length);
        }
        assert!(shadowsocks_key("aes-128-gcm").is_err());
    }
}
