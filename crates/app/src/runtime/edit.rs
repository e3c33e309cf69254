//! Objects are edited while the instance runs: checked as a part of the whole configuration, applied, stored and recorded, in this
//! order, and undone when one step fails.

use serde_json::Value as Json;

use super::{Runtime, difference::Difference};
use crate::{
    config::{Config, SourceConfig},
    objects::{self, Actor, Edit, EditError},
};

impl Runtime {
    /// Changes objects, all of them or none.
    ///
    /// # Errors
    /// [`EditError`]: nothing has changed.
    pub(crate) async fn edit(&self, actor: &Actor, edits: Vec<Edit>) -> Result<Difference, EditError> {
        let edits = objects::with_hashed_passwords(edits).await?;
        let _alone = self.changing.lock().await;
        let (applied, now) = (self.applied(), self.parts.clock.wall());
        let edited = objects::edited(&self.reader, &applied, &edits, now)?;
        let difference = self.apply(&applied.config, &edited.config).await.map_err(EditError::NotApplied)?;
        let rows = objects::rows(actor, &edits, (&applied, &edited), now);
        if let Err(error) = self.parts.store.write_control(&rows).await {
            if let Err(undo) = self.apply(&edited.config, &applied.config).await {
                tracing::error!("a change that could not be stored could not be undone either: {undo:#}");
            }
            return Err(EditError::NotStored(error));
        }
        self.set_applied(&applied.config, edited.config, edited.objects);
        tracing::info!(who = %actor.who, via = actor.via, changed = difference.changed.join(", "), "changed");
        Ok(difference)
    }

    /// A source with these keys as it would be if it were added now, and the configuration with it.
    ///
    /// # Errors
    /// [`EditError::Malformed`], [`EditError::Invalid`].
    pub(crate) fn source_alone(&self, value: Json) -> Result<(SourceConfig, Config), EditError> {
        objects::alone(&self.reader, &self.applied(), value)
    }
}
