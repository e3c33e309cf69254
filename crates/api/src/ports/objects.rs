//! What is made while the program runs: objects, settings, tokens, and the record of changes.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::{
    ApiError, AuditDto, AuditParameters, Caller, ChangeReport, ChangedBy, ListDto, NewTokenDto, ObjectChange,
    ObjectDto, ObjectType, ObjectsQuery, PreviewReport, PreviewRequest, SettingDto, TokenDto, TokenRequest,
};

/// What is made while the program runs: objects, settings, tokens, and the record of changes. A change that is answered for is in force
/// and on the disk.
#[async_trait]
pub trait ObjectsPort: Send + Sync + 'static {
    /// Who sends this token; `None` when there is no such token.
    fn caller(&self, token: &str) -> Option<Caller>;

    /// The JSON schemas of the objects by kind.
    fn schemas(&self) -> Map<String, Value>;

    /// One part of the objects of a kind, in the order of their names.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a parameter is malformed.
    fn objects(&self, kind: ObjectType, query: &ObjectsQuery) -> Result<ListDto<ObjectDto>, ApiError>;

    /// One object; `None` when there is none of this name.
    fn object(&self, kind: ObjectType, name: &str) -> Option<ObjectDto>;

    /// Changes one object.
    ///
    /// # Errors
    /// [`ApiError::NotFound`], [`ApiError::Conflict`], [`ApiError::BadRequest`] with every mistake, or [`ApiError::NotStored`]: nothing
    /// has changed.
    async fn change_object(
        &self,
        by: &ChangedBy,
        kind: ObjectType,
        name: &str,
        change: ObjectChange,
    ) -> Result<ChangeReport, ApiError>;

    /// Every setting with what is in force.
    fn settings(&self) -> Vec<SettingDto>;

    /// Changes settings, all of them or none; null takes one back to its default.
    ///
    /// # Errors
    /// As [`ObjectsPort::change_object`].
    async fn change_settings(&self, by: &ChangedBy, values: Map<String, Value>) -> Result<ChangeReport, ApiError>;

    /// What a text or a source would give.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when it cannot be read, [`ApiError::Busy`].
    async fn preview(&self, request: PreviewRequest) -> Result<PreviewReport, ApiError>;

    /// What a source of the configuration would give now.
    ///
    /// # Errors
    /// [`ApiError::NotFound`], and those of [`ObjectsPort::preview`].
    async fn test_source(&self, name: &str) -> Result<PreviewReport, ApiError>;

    /// All tokens in the order of their names.
    fn tokens(&self) -> Vec<TokenDto>;

    /// Makes a token.
    ///
    /// # Errors
    /// [`ApiError::Conflict`] when its name is taken, [`ApiError::BadRequest`], [`ApiError::NotStored`].
    async fn create_token(&self, by: &ChangedBy, request: &TokenRequest) -> Result<NewTokenDto, ApiError>;

    /// Revokes a token; false when there is none of this name.
    ///
    /// # Errors
    /// [`ApiError::NotStored`].
    async fn revoke_token(&self, by: &ChangedBy, name: &str) -> Result<bool, ApiError>;

    /// One part of the record of changes, the newest in front.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] when a parameter is malformed, [`ApiError::Internal`] when the store cannot be read.
    async fn audit(&self, query: &AuditParameters) -> Result<ListDto<AuditDto>, ApiError>;
}
