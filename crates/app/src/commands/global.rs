//! What every command shares: where the configuration and the data lie, and which instance they belong to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::control_plane::{ControlPlane, StoppedInstance};
use crate::{
    config::{Config, ConfigReader, Layers, with_value_files},
    output::Misuse,
    places::{Places, UserFolders},
    remote::{Remote, elsewhere},
    running::Running,
};

/// Variables that are flags, not keys.
const FLAG_VARIABLES: [&str; 2] = ["HEZAR_CONFIG", "HEZAR_DATA"];

/// What the command line and the environment say besides the command itself.
#[derive(Clone, Debug)]
pub(super) struct GlobalArgs {
    pub(super) user: UserFolders,
    pub(super) places: Places,
    pub(super) layers: Layers,
}

impl GlobalArgs {
    /// Finds the configuration and the data folder; an empty path counts as absent.
    ///
    /// # Errors
    /// A variable names a file that cannot be read.
    pub(super) fn new(config: Option<PathBuf>, data: Option<PathBuf>) -> anyhow::Result<Self> {
        let user = UserFolders::from_environment();
        let given = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        let places = Places::find(given(config).as_deref(), &user, |path| path.exists());
        let layers = layers(given(data), places.default_data.clone())?;
        Ok(Self { user, places, layers })
    }

    /// Takes this configuration file, whether it exists or not, and the data folder that goes with it.
    pub(super) fn use_file(&mut self, file: &Path) {
        self.places = Places::find(Some(file), &self.user, |path| path.exists());
        self.layers.default_data.clone_from(&self.places.default_data);
    }

    /// Where the configuration comes from.
    pub(super) fn reader(&self) -> ConfigReader {
        ConfigReader::new(self.places.file.clone(), self.layers.clone())
    }

    /// Reads the configuration file, if there is one, without the objects of the store.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        let reader = self.reader();
        Ok(reader.parse(&reader.text()?, &[], &|_| false)?)
    }

    /// The instance that runs with the data folder of this configuration, if one does. A configuration with mistakes is no obstacle:
    /// the instance may run with an older one.
    pub(super) fn running(&self) -> Option<Remote> {
        Remote::running(&self.reader().data_folder(), &self.places)
    }

    /// Where nothing names a configuration or a data folder, those of the instance that the user runs are meant, whatever
    /// its folder.
    pub(super) fn follow_running(&mut self) {
        if self.places.file.is_some() || self.layers.data.is_some() || self.running().is_some() {
            return;
        }
        if let Some(running) = Running::of_user(&self.user) {
            self.places.file = running.config;
            self.layers.data = Some(running.data);
        }
    }

    /// The running instance that these folders belong to.
    pub(super) fn remote(&self) -> anyhow::Result<Remote> {
        match self.announced() {
            Some(remote) => Ok(remote),
            None => Remote::configured(&self.config()?, &self.user),
        }
    }

    /// As [`Self::remote`], for what needs no token.
    pub(super) fn remote_without_token(&self) -> anyhow::Result<Remote> {
        match self.announced() {
            Some(remote) => Ok(remote),
            None => Remote::without_token(&self.config()?, &self.user),
        }
    }

    /// What the commands that change things ask: the running instance, or its store when none runs.
    pub(super) async fn control_plane(&self) -> anyhow::Result<Box<dyn ControlPlane>> {
        if let Some(remote) = self.announced() {
            return Ok(Box::new(remote));
        }
        let config = self.config()?;
        if self.names_an_address() {
            return Ok(Box::new(Remote::configured(&config, &self.user)?));
        }
        // An instance that has left no note here may be in a container, or be another user's.
        let holder = hezar_store::in_use(config.store.url.0.expose(), &config.data);
        if (holder.is_some() || config.api.token.is_some())
            && let Ok(remote) = Remote::configured(&config, &self.user)
            && remote.is_reachable().await
        {
            return Ok(Box::new(remote));
        }
        let note = format!(
            "no instance that can be asked runs with the data folder {}: its store is used directly{}",
            config.data.display(),
            elsewhere(&config, &self.user)
        );
        Ok(Box::new(StoppedInstance::new(config, self.reader(), note)))
    }

    /// The running instance that has left a note for these folders, or, where nothing names any, for the user.
    fn announced(&self) -> Option<Remote> {
        if self.names_an_address() {
            return None;
        }
        let is_unnamed = self.places.file.is_none() && self.layers.data.is_none();
        self.running().or_else(|| is_unnamed.then(|| Remote::of_user(&self.user)).flatten())
    }

    /// Whether the environment says where the API of the instance listens that is meant.
    fn names_an_address(&self) -> bool {
        self.layers.environment.contains_key("HEZAR_API_LISTEN")
    }
}

fn layers(data: Option<PathBuf>, default_data: PathBuf) -> anyhow::Result<Layers> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with("HEZAR_") && !FLAG_VARIABLES.contains(&name.as_str()));
    let environment = with_value_files(variables).map_err(|error| Misuse(format!("{error:#}")))?;
    Ok(Layers { environment, flags: BTreeMap::new(), data, default_data })
}
