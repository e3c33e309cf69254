//! VLESS outbound: a user id and a request in front of the payload, and a short header in front of the answer.

mod encryption;
mod wire;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use hezar_core::{Target, Vless};
use uuid::Uuid;

use self::encryption::Encryption;
use super::headed::Headed;
use crate::{Attempt, BoxStream, BuildError, DialError, Dialer, upstream::Upstream};

/// Builds the dialer; `upstream` opens streams to the server.
///
/// # Errors
/// [`BuildError::Unsupported`] for flows and unknown encryption, [`BuildError::Invalid`] for broken encryption.
pub(crate) fn build(settings: &Vless, upstream: Upstream) -> Result<Arc<dyn Dialer>, BuildError> {
    if settings.flow.is_some() {
        return Err(BuildError::Unsupported("XTLS Vision"));
    }
    let encryption = settings.encryption.as_ref().map(|text| Encryption::new(text.expose())).transpose()?;
    Ok(Arc::new(VlessDialer { id: settings.id, encryption, upstream }))
}

/// Dials targets through one VLESS server.
struct VlessDialer {
    id: Uuid,
    encryption: Option<Encryption>,
    upstream: Upstream,
}

impl fmt::Debug for VlessDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VlessDialer").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for VlessDialer {
    /// The server's header comes with its first payload: a wrong id shows at the first read.
    async fn connect(&self, target: &Target, attempt: &Attempt) -> Result<BoxStream, DialError> {
        let stream = self.upstream.open(attempt).await?;
        let stream = match &self.encryption {
            Some(encryption) => encryption.wrap(stream, attempt).await?,
            None => stream,
        };
        Ok(Box::new(Headed::new(stream, wire::request(&self.id, target), wire::Answer)))
    }
}
