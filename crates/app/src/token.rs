//! The API's token: what the configuration says, or a file in the data folder that is made at the first start.

use std::path::Path;

use anyhow::Context;
use hezar_api::ApiToken;
use hezar_core::Secret;

use crate::{config::Config, exposure, running::write_private};

/// The file that holds the token, in the data folder.
pub(crate) const TOKEN_FILE: &str = "token";
/// A token has at least as many characters.
const LEAST: usize = 16;
const MOST: u64 = 4096;

/// The configured token, or the one in the data folder. A file that others could have written, or that holds no token, is replaced.
pub(crate) fn load_or_make(config: &Config) -> anyhow::Result<Secret> {
    if let Some(ApiToken(token)) = &config.api.token {
        return Ok(token.clone());
    }
    load_or_make_file(&config.data.join(TOKEN_FILE), "the API token")
}

/// The secret in a file, which is made where it is missing. One that others could have written, or that holds no secret, is replaced. `what`
/// says in messages what it is for.
pub(crate) fn load_or_make_file(file: &Path, what: &str) -> anyhow::Result<Secret> {
    match usable(file, what) {
        Ok(Some(secret)) => return Ok(secret),
        Ok(None) => {}
        Err(reason) => {
            tracing::warn!(file = %file.display(), "{what} was replaced by a new one: {reason}");
        }
    }
    let bytes: [u8; 32] = rand::random();
    let text = hex::encode(bytes);
    write_private(file, format!("{text}\n").as_bytes())
        .with_context(|| format!("cannot write {what} to {}", file.display()))?;
    Ok(Secret::new(text))
}

/// The token in the file; `None` when there is no file, and why it cannot be used otherwise.
fn usable(file: &Path, what: &str) -> Result<Option<Secret>, &'static str> {
    let Ok(metadata) = std::fs::symlink_metadata(file) else { return Ok(None) };
    if !metadata.is_file() || metadata.len() > MOST {
        return Err("it was no plain file");
    }
    if !is_ours(&metadata) || exposure::written_by_others(file) {
        return Err("other users could have written it");
    }
    let text = std::fs::read_to_string(file).map_err(|_| "it could not be read")?;
    let token = text.trim();
    if token.len() < LEAST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("it was shorter than 16 characters, or held others than visible ones");
    }
    if exposure::read_by_others(file) {
        let repaired = make_private(file).is_ok();
        tracing::warn!(
            file = %file.display(), repaired,
            "other users of this machine could read {what}: delete the file and start again to get a new one"
        );
    }
    Ok(Some(Secret::new(token)))
}

#[cfg(unix)]
fn is_ours(metadata: &std::fs::Metadata) -> bool {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    owner == rustix::process::geteuid().as_raw() || owner == 0
}

#[cfg(not(unix))]
const fn is_ours(_: &std::fs::Metadata) -> bool {
    true
}

#[cfg(unix)]
fn make_private(file: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
}

#[cfg(not(unix))]
const fn make_private(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::Layers;

    #[test]
    fn a_token_that_others_wrote_is_replaced_and_one_that_they_read_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let layers = Layers { data: Some(folder.path().to_owned()), ..Layers::default() };
        let config = Config::read("", None, &layers).unwrap();
        let file = folder.path().join(TOKEN_FILE);
        let put = |text: &str, mode| {
            let _ = std::fs::remove_file(&file);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        };
        let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;

        let made = load_or_make(&config).unwrap();
        assert_eq!((made.expose().len(), mode()), (64, 0o600));
        assert_eq!(load_or_make(&config).unwrap(), made);
        let weak = "a".repeat(40);
        put(&weak, 0o666);
        assert_ne!(load_or_make(&config).unwrap().expose(), weak);
        assert_eq!(mode(), 0o600);
        put(&weak, 0o644);
        assert_eq!((load_or_make(&config).unwrap().expose(), mode()), (weak.as_str(), 0o600));
        put("short", 0o600);
        assert_eq!(load_or_make(&config).unwrap().expose().len(), 64);
        // A link is never followed: what it leads to stays as it is.
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "precious content of a file").unwrap();
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(&victim, &file).unwrap();
        assert_eq!(load_or_make(&config).unwrap().expose().len(), 64);
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious content of a file");
    }
}
