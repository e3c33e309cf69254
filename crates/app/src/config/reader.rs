//! Reads the configuration of one call of the program again and again: the file, the environment, the flags, and the objects of the
//! store.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::anyhow;

use super::{Config, Layers, ObjectKey, ObjectKind, Problem, Problems, StoredObject, resolve};

/// What is changed in every configuration that is read, such as by `--demo`.
type Adaptation = Arc<dyn Fn(&mut Config) + Send + Sync>;

/// Which objects of the store may be left out when they are wrong, so that the rest can be used.
pub(crate) type MayLeaveOut<'a> = &'a dyn Fn(&ObjectKey) -> bool;

/// Of how many objects it is tried whether the configuration is good without them.
const MOST_TRIALS: usize = 500;

/// Where the configuration comes from.
#[derive(Clone)]
pub(crate) struct ConfigReader {
    file: Option<PathBuf>,
    layers: Layers,
    adapt: Option<Adaptation>,
    /// Whether a changed file is applied without being asked for.
    is_watched: bool,
}

impl fmt::Debug for ConfigReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigReader").field("file", &self.file).field("layers", &self.layers).finish_non_exhaustive()
    }
}

impl ConfigReader {
    /// Reads this file, if there is one, beneath these layers.
    pub(crate) const fn new(file: Option<PathBuf>, layers: Layers) -> Self {
        Self { file, layers, adapt: None, is_watched: true }
    }

    /// The same, with a change to everything that is read.
    pub(crate) fn adapted(self, adapt: impl Fn(&mut Config) + Send + Sync + 'static) -> Self {
        Self { adapt: Some(Arc::new(adapt)), ..self }
    }

    /// The same; the file is read again only when somebody asks for it.
    pub(crate) fn unwatched(self) -> Self {
        Self { is_watched: false, ..self }
    }

    /// The file whose changes are applied as they come; `None` when there is no file, or when it is read on demand only.
    pub(crate) fn watched_file(&self) -> Option<&Path> {
        self.file().filter(|_| self.is_watched)
    }

    /// The file that is read.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The text of the file; empty when there is none.
    ///
    /// # Errors
    /// What to do about a file that cannot be read.
    pub(crate) fn text(&self) -> anyhow::Result<String> {
        let Some(file) = &self.file else { return Ok(String::new()) };
        std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))
    }

    /// The data folder, also where the file has mistakes or cannot be read.
    pub(crate) fn data_folder(&self) -> PathBuf {
        let text = self.text().unwrap_or_default();
        resolve::data_folder_alone(&text, self.file.as_deref(), &self.layers)
    }

    /// What a text means together with these objects. Objects that are wrong and may be left out are named in
    /// [`Config::left_out`].
    ///
    /// # Errors
    /// Every problem at once.
    pub(crate) fn parse(
        &self,
        text: &str,
        objects: &[StoredObject],
        may_leave_out: MayLeaveOut<'_>,
    ) -> Result<Config, Problems> {
        let mut objects = objects.to_vec();
        let mut left_out = Vec::new();
        let mut config = loop {
            match resolve::config(text, self.file.as_deref(), &self.layers, &objects) {
                Ok(config) => break config,
                Err(problems) => {
                    let mut gone = leave_out_named(&mut objects, &problems, may_leave_out);
                    if gone.is_empty() {
                        gone = self.leave_out_cause(text, &mut objects, &problems, may_leave_out);
                    }
                    if gone.is_empty() {
                        return Err(problems);
                    }
                    left_out.extend(gone);
                }
            }
        };
        config.left_out = left_out;
        if let Some(adapt) = &self.adapt {
            adapt(&mut config);
        }
        Ok(config)
    }

    /// Takes the one object away without which fewer problems remain, where the problems name places in the file alone: an address that
    /// both take, or keys that exclude each other. Where no single object is the cause, all are taken away that may be left out.
    fn leave_out_cause(
        &self,
        text: &str,
        objects: &mut Vec<StoredObject>,
        problems: &Problems,
        may_leave_out: MayLeaveOut<'_>,
    ) -> Vec<Problem> {
        let mut candidates: Vec<ObjectKey> =
            objects.iter().map(|object| object.key.clone()).filter(|key| may_leave_out(key)).collect();
        candidates.sort_by_key(|key| order_of_trial(key.kind));
        let without = |gone: &[ObjectKey]| -> Vec<StoredObject> {
            objects.iter().filter(|object| !gone.contains(&object.key)).cloned().collect()
        };
        let is_cause = |key: &&ObjectKey| {
            let rest = without(std::slice::from_ref(*key));
            match resolve::config(text, self.file.as_deref(), &self.layers, &rest) {
                Ok(_) => true,
                Err(left) => left.0.len() < problems.0.len(),
            }
        };
        let cause = candidates.iter().take(MOST_TRIALS).find(is_cause).cloned();
        let gone = cause.map_or(candidates, |cause| vec![cause]);
        *objects = without(&gone);
        gone.iter().map(|key| does_not_fit(key, problems)).collect()
    }
}

/// Takes the objects away that problems name and that may be left out; returns why.
fn leave_out_named(
    objects: &mut Vec<StoredObject>,
    problems: &Problems,
    may_leave_out: MayLeaveOut<'_>,
) -> Vec<Problem> {
    let wrong = |object: &StoredObject| problems.0.iter().find(|problem| problem.object.as_ref() == Some(&object.key));
    let named: Vec<_> = objects.iter().filter(|object| may_leave_out(&object.key)).filter_map(wrong).cloned().collect();
    objects.retain(|object| !named.iter().any(|problem| problem.object.as_ref() == Some(&object.key)));
    named
}

/// Why an object is left out that no problem names.
fn does_not_fit(key: &ObjectKey, problems: &Problems) -> Problem {
    let why = problems.0.first().map(ToString::to_string).unwrap_or_default();
    let message = format!("it does not go together with the configuration: {why}");
    Problem { path: key.to_string(), line: None, object: Some(key.clone()), message }
}

/// Which objects are tried first: a setting or a listener can make something of the file wrong, others hardly can.
const fn order_of_trial(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::Setting => 0,
        ObjectKind::Listener => 1,
        ObjectKind::Source | ObjectKind::User | ObjectKind::Subscription => 2,
    }
}

/// What to do about a configuration file that cannot be read.
fn unreadable(file: &Path, error: &io::Error) -> anyhow::Error {
    let help = match error.kind() {
        io::ErrorKind::NotFound => "no such file; `hezar init` writes one".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text; save it as UTF-8 with an editor".to_owned(),
        _ => error.to_string(),
    };
    anyhow!("cannot read the configuration {}: {help}", file.display())
}
