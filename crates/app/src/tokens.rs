//! API tokens beside the one of the file: made and revoked while the program runs, kept as hashes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hezar_api::{ApiError, Caller, NewTokenDto, Scope, TokenDto, TokenRequest};
use hezar_core::{Secret, Timestamp};
use hezar_engine::Clock;
use hezar_store::{ControlChange, Store, StoreError, TokenRow};
use parking_lot::{Mutex, RwLock};
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::objects::{Actor, audit};

/// How often it is written when tokens were used last.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// What every token begins with, so that it is known where it is found.
const PREFIX: &str = "hz_";
/// The longest name of a token, in bytes.
const LONGEST_NAME: usize = 64;

/// The tokens of the store.
pub(crate) struct ApiTokens {
    rows: RwLock<Vec<TokenRow>>,
    store: Arc<dyn Store>,
    clock: Clock,
    /// Held while a token is made or revoked.
    changing: tokio::sync::Mutex<()>,
    /// Uses that are not written yet, by name.
    used: Mutex<BTreeMap<Box<str>, Timestamp>>,
}

impl ApiTokens {
    /// The tokens as the store knows them.
    pub(crate) fn new(rows: Vec<TokenRow>, store: Arc<dyn Store>, clock: Clock) -> Self {
        let (changing, used) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { rows: RwLock::new(rows), store, clock, changing, used }
    }

    /// Takes over the tokens of the store as other processes have changed them.
    ///
    /// # Errors
    /// The store cannot be read: then nothing has changed.
    pub(crate) async fn adopt(&self) -> Result<(), StoreError> {
        let _alone = self.changing.lock().await;
        let rows = self.store.load_tokens().await?;
        self.used.lock().retain(|name, _| rows.iter().any(|row| row.name == *name));
        *self.rows.write() = rows;
        Ok(())
    }

    /// All tokens in the order of their names, with their last uses.
    fn list(&self) -> Vec<TokenRow> {
        let used = self.used.lock();
        let mut rows = self.rows.read().clone();
        for row in &mut rows {
            row.last_used = used.get(&row.name).copied().or(row.last_used);
        }
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows
    }

    /// Who sends a token; `None` when there is no such token.
    pub(crate) fn caller(&self, token: &str) -> Option<Caller> {
        if !token.starts_with(PREFIX) {
            return None;
        }
        let hash = hash(token);
        let rows = self.rows.read();
        let row = rows.iter().find(|row| *row.hash == *hash)?;
        let scope = Scope::ALL.into_iter().find(|scope| scope.name() == &*row.scope)?;
        self.used.lock().insert(row.name.clone(), self.clock.wall());
        Some(Caller { name: (*row.name).into(), scope })
    }

    /// Makes a token; the text is shown once. `None` when the name is taken.
    ///
    /// # Errors
    /// The store cannot be written: then there is no such token.
    async fn create(
        &self,
        name: &str,
        scope: Scope,
        audit: ControlChange,
    ) -> Result<Option<(Secret, TokenRow)>, StoreError> {
        let _alone = self.changing.lock().await;
        if self.rows.read().iter().any(|row| &*row.name == name) {
            return Ok(None);
        }
        let bytes: [u8; 32] = rand::random();
        let text = format!("{PREFIX}{}", hex::encode(bytes));
        let row = TokenRow {
            name: name.into(),
            hash: hash(&text).into(),
            scope: scope.name().into(),
            created: self.clock.wall(),
            last_used: None,
        };
        self.store.write_control(&[ControlChange::PutToken(row.clone()), audit]).await?;
        self.rows.write().push(row.clone());
        Ok(Some((Secret::new(text), row)))
    }

    /// Revokes a token, which is refused from now on; false when there is none of this name.
    ///
    /// # Errors
    /// The store cannot be written: then the token is still good.
    async fn revoke(&self, name: &str, audit: ControlChange) -> Result<bool, StoreError> {
        let _alone = self.changing.lock().await;
        if !self.rows.read().iter().any(|row| &*row.name == name) {
            return Ok(false);
        }
        self.store.write_control(&[ControlChange::RemoveToken(name.into()), audit]).await?;
        self.rows.write().retain(|row| &*row.name != name);
        self.used.lock().remove(name);
        Ok(true)
    }

    /// All tokens as the API shows them.
    pub(crate) fn dtos(&self) -> Vec<TokenDto> {
        let dto = |row: TokenRow| TokenDto {
            name: row.name.into(),
            scope: row.scope.into(),
            created: row.created.0,
            last_used: row.last_used.map(|at| at.0),
        };
        self.list().into_iter().map(dto).collect()
    }

    /// Makes the token that somebody asks for, and records it.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`], [`ApiError::Conflict`] when the name is taken, [`ApiError::NotStored`].
    pub(crate) async fn create_for(&self, actor: &Actor, request: &TokenRequest) -> Result<NewTokenDto, ApiError> {
        let TokenRequest { name, scope } = request;
        if !(1..=LONGEST_NAME).contains(&name.len()) || name.contains(char::is_control) {
            return Err(ApiError::BadRequest(format!("a token needs a name of 1 to {LONGEST_NAME} bytes")));
        }
        let Some(known) = Scope::ALL.into_iter().find(|known| known.name() == scope) else {
            let names = Scope::ALL.map(Scope::name).join(", ");
            return Err(ApiError::BadRequest(format!("the scope is one of {names}")));
        };
        let new = Some(json!({ "scope": scope }));
        let line = audit(actor, "create", ("token", name), (None, new), self.clock.wall());
        let made = self.create(name, known, line).await.map_err(|error| not_stored(&error))?;
        let (token, row) = made.ok_or_else(|| {
            ApiError::Conflict(format!("there is a token named {name:?} already: revoke it, or choose another name"))
        })?;
        Ok(NewTokenDto { name: row.name.into(), scope: row.scope.into(), token: token.expose().to_owned() })
    }

    /// Revokes a token, and records it; false when there is none of this name.
    ///
    /// # Errors
    /// [`ApiError::NotStored`].
    pub(crate) async fn revoke_for(&self, actor: &Actor, name: &str) -> Result<bool, ApiError> {
        let line = audit(actor, "revoke", ("token", name), (None, None), self.clock.wall());
        self.revoke(name, line).await.map_err(|error| not_stored(&error))
    }

    /// Writes now and then when tokens were used last, until `stop`.
    pub(crate) async fn note_uses(&self, stop: CancellationToken) {
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => true,
                () = sleep(NOTED_EVERY) => false,
            };
            let used: Vec<_> = std::mem::take(&mut *self.used.lock()).into_iter().collect();
            if !used.is_empty() {
                self.rows.write().iter_mut().for_each(|row| {
                    row.last_used =
                        used.iter().find(|(name, _)| *name == row.name).map(|(_, at)| *at).or(row.last_used);
                });
                // The times are only for people: what cannot be written is written with the next use.
                let _ = self.store.write_control(&[ControlChange::TokensUsed(used)]).await;
            }
            if ended {
                return;
            }
        }
    }
}

fn not_stored(error: &StoreError) -> ApiError {
    ApiError::NotStored(format!("nothing was changed, since the store cannot be written: {error}"))
}

/// BLAKE3 of a token. The tokens are random and long: nobody finds one from its hash.
fn hash(token: &str) -> String {
    blake3::hash(token.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit() -> ControlChange {
        ControlChange::RemoveToken("nobody".into())
    }

    #[tokio::test]
    async fn a_token_is_good_until_it_is_revoked_and_kept_as_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        let store = hezar_store::open("sqlite:t.db", folder.path(), hezar_store::Access::Exclusive).await.unwrap();
        let tokens = ApiTokens::new(Vec::new(), Arc::clone(&store), Clock::start());
        let (text, row) = tokens.create("grafana", Scope::Read, audit()).await.unwrap().unwrap();
        assert_eq!(text.expose().len(), PREFIX.len() + 64);
        assert!(!format!("{row:?}").contains(text.expose()));
        assert!(tokens.create("grafana", Scope::Admin, audit()).await.unwrap().is_none());
        let caller = tokens.caller(text.expose()).unwrap();
        assert_eq!((&*caller.name, caller.scope), ("grafana", Scope::Read));
        for wrong in ["", "hz_", "x", &text.expose()[1..], &format!("{}0", text.expose())] {
            assert_eq!(tokens.caller(wrong), None);
        }
        assert!(tokens.list()[0].last_used.is_some());
        tokens
            .note_uses({
                let stop = CancellationToken::new();
                stop.cancel();
                stop
            })
            .await;
        let stored = store.load_control().await.unwrap().tokens;
        assert!(stored.len() == 1 && stored[0].last_used.is_some() && *stored[0].hash == *row.hash);
        // After a restart it is as good.
        let again = ApiTokens::new(stored, Arc::clone(&store), Clock::start());
        assert!(again.caller(text.expose()).is_some());
        assert!(again.revoke("grafana", audit()).await.unwrap() && !again.revoke("grafana", audit()).await.unwrap());
        assert_eq!(again.caller(text.expose()), None);
        assert!(store.load_control().await.unwrap().tokens.is_empty());
        // What the store does not take does not hold.
        store.close().await;
        assert!(again.create("other", Scope::Read, audit()).await.is_err() && again.list().is_empty());
    }
}
