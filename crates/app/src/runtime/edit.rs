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
        let edits = objects::with_credentials(edits).await?;
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

    /// Applies the objects of the store as other processes have changed them; `None` when they are in force already.
    ///
    /// # Errors
    /// The store cannot be read, or something of it cannot be done here, such as an address that is taken: then nothing has changed.
    pub(crate) async fn adopt_objects(&self) -> anyhow::Result<Option<Difference>> {
        let _alone = self.changing.lock().await;
        // Read under the lock: an edit of this process is in the store before the next one is read.
        let (objects, _) = objects::from_store(self.parts.store.load_control().await?);
        let applied = self.applied();
        if applied.objects == objects {
            return Ok(None);
        }
        // What does not go together with the file of this process is left out, as at a start.
        let config = self.reader.parse(applied.config.text.expose(), &objects, &|_| true)?;
        let difference = self.apply(&applied.config, &config).await?;
        self.set_applied(&applied.config, config, objects);
        Ok(Some(difference))
    }

    /// A source with these keys as it would be if it were added now, and the configuration with it.
    ///
    /// # Errors
    /// [`EditError::Malformed`], [`EditError::Invalid`].
    pub(crate) fn source_alone(&self, value: Json) -> Result<(SourceConfig, Config), EditError> {
        objects::alone(&self.reader, &self.applied(), value)
    }
}
