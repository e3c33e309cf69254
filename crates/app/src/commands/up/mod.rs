//! `hezar up`: from nothing to a proxy that works, for who has never seen a configuration.

mod draft;
mod input;
mod report;
mod service;
mod terminal;
mod texts;
mod trial;
mod ways;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use hezar_api::ReloadReport;

use super::{GlobalArgs, run, runtime};
use crate::{
    cli::{RunArgs, UpArgs},
    config::Config,
    output::{self, Misuse},
    places::FILE_NAME,
    remote::Remote,
    running::Running,
};
use draft::Draft;
use input::Given;
use report::Report;
pub(super) use service::Offer;
use terminal::Terminal;
use texts::{Texts, fill};
use trial::Trial;

/// What all steps use.
struct Up<'a> {
    args: &'a UpArgs,
    texts: &'static Texts,
    terminal: Terminal,
    /// The instance that runs with this configuration, if one does.
    remote: Option<Remote>,
}

pub(super) fn up(global: &mut GlobalArgs, args: &UpArgs) -> anyhow::Result<ExitCode> {
    global.follow_running();
    let file = configuration_file(global);
    global.use_file(&file);
    let remote = running_instance(global)?;
    let up =
        Up { args, texts: Texts::of_environment(), terminal: Terminal::new(!args.yes && !args.output.json), remote };
    up.set_up(global, file)
}

impl Up<'_> {
    fn set_up(&self, global: &mut GlobalArgs, file: PathBuf) -> anyhow::Result<ExitCode> {
        let reader = global.reader();
        let text = if file.exists() { reader.text()? } else { String::new() };
        let before = reader.parse(&text, &[], &|_| false)?;
        let mut draft = self.draft(file, &before)?;
        let may_install =
            self.remote.is_none() && !(self.args.no_service || self.args.no_start || self.args.output.json);
        let offer = may_install.then(Offer::here).flatten();
        let trial = self.try_out(global, offer, &mut draft)?;
        self.tell_sources(&trial);
        if trial.working == 0 && !self.goes_on(&trial, &mut draft)? {
            let report = Report::new(&draft.parsed(&reader)?, &draft, &trial);
            return report.failed(self.args.output.json);
        }
        let is_agreed =
            |_: &Offer| self.args.yes || (self.terminal.can_ask() && self.terminal.confirm(self.texts.service, true));
        let offer = offer.filter(is_agreed);
        if draft.is_new()
            && let Some(file) = offer.and_then(Offer::file)
        {
            file.clone_into(&mut draft.file);
            global.use_file(file);
        }
        self.tell_change(&draft);
        draft.write()?;
        let config = draft.parsed(&global.reader())?;
        self.start(global, offer, &config, Report::new(&config, &draft, &trial))
    }

    /// The configuration with what is to be tried.
    fn draft(&self, file: PathBuf, before: &Config) -> anyhow::Result<Draft> {
        let given = self.given(before)?;
        let has_nothing = given.is_empty() && before.sources.is_empty();
        let public = self.args.public || (has_nothing && self.terminal.can_ask());
        if has_nothing && !public {
            return Err(nothing_to_try().into());
        }
        let mut draft = Draft::open(file)?;
        if public {
            draft.add_public(before)?;
        }
        draft.add(&given, before, self.args.allow_private)?;
        if self.args.lan {
            draft.open_lan(before)?;
        }
        Ok(draft)
    }

    /// Says why nothing works, and whether to start all the same. What lists no node at all is not kept.
    fn goes_on(&self, trial: &Trial, draft: &mut Draft) -> anyhow::Result<bool> {
        let reason = trial.reason.as_deref().unwrap_or("no node works");
        output::note(fill(self.texts.nothing_works, &[&reason]));
        if reason.contains("forbidden-address") && !self.args.allow_private {
            output::note(self.texts.private);
        }
        let can_ask = self.terminal.can_ask();
        if trial.nodes == 0 || (can_ask && !self.terminal.confirm(self.texts.keep_anyway, true)) {
            self.undo(draft)?;
            output::note(self.texts.nothing_written);
            return Ok(false);
        }
        if !can_ask {
            draft.write()?;
            let kept = if self.remote.is_some() { self.texts.kept_running } else { self.texts.kept };
            output::note(fill(kept, &[&draft.file.display()]));
        }
        Ok(can_ask)
    }

    /// What the command line names, or else what comes on standard input or is pasted.
    fn given(&self, config: &Config) -> anyhow::Result<Given> {
        let mut given = Given::from_arguments(self.args)?;
        if !given.is_empty() || self.args.public {
            return Ok(given);
        }
        if self.terminal.can_ask() {
            let question = if config.sources.is_empty() { self.texts.ask } else { self.texts.ask_again };
            given.take_pasted(self.terminal.text(question).as_bytes())?;
        } else if !self.args.yes
            && let Some(text) = terminal::piped()?
        {
            given.take_pasted(&text)?;
        }
        if !given.is_empty() {
            self.tell(&fill(self.texts.found, &[&given.links.len(), &given.places.len()]));
        }
        Ok(given)
    }

    /// Reads and probes; sources that stood in a longer text and list nothing are left out afterwards.
    fn try_out(&self, global: &GlobalArgs, offer: Option<Offer>, draft: &mut Draft) -> anyhow::Result<Trial> {
        // The machine's service has a store of its own, which root must not make in its place.
        let aside = offer.and_then(Offer::file).map(|_| tempfile::tempdir()).transpose()?;
        let mut global = global.clone();
        if let Some(folder) = &aside {
            global.layers.data = Some(folder.path().to_owned());
        }
        let reader = global.reader();
        let added = draft.added.iter().map(|added| added.name.clone());
        let names: Vec<String> = added.chain(draft.known.iter().cloned()).collect();
        let config = draft.parsed(&reader)?;
        if let Some(port) = draft.other_port {
            self.tell(&fill(self.texts.ports, &[&port]));
        }
        let trial = match &self.remote {
            None => runtime()?.block_on(trial::here(config, &reader, &names, self.args.output.json))?,
            Some(remote) => {
                draft.write()?;
                let tried = runtime()?.block_on(async {
                    reload(remote).await?;
                    trial::running(remote, &names).await
                });
                if tried.is_err() {
                    draft.undo()?;
                }
                tried?
            }
        };
        draft.added.retain(|added| added.is_named || trial.has_nodes(&added.name));
        if let Some(remote) = &self.remote {
            draft.write()?;
            runtime()?.block_on(reload(remote))?;
        }
        Ok(trial)
    }

    /// Leaves the configuration as it was.
    fn undo(&self, draft: &mut Draft) -> anyhow::Result<()> {
        let Some(remote) = &self.remote else { return Ok(()) };
        draft.undo()?;
        runtime()?.block_on(reload(remote))
    }

    /// Lets the program run, and says how to use it once it does.
    fn start(
        &self,
        global: &mut GlobalArgs,
        offer: Option<Offer>,
        config: &Config,
        report: Report,
    ) -> anyhow::Result<ExitCode> {
        let json = self.args.output.json;
        if let Some(offer) = offer {
            offer.start(global)?;
        }
        if offer.is_some() || self.remote.is_some() {
            return report.when_serving(self.texts, &config.data, json);
        }
        if self.args.no_start {
            if json {
                return report.print();
            }
            self.tell(&fill(self.texts.start_later, &[&run_command(global)]));
            return Ok(ExitCode::SUCCESS);
        }
        let (texts, data) = (self.texts, config.data.clone());
        // The instance takes this thread over; it is watched as any other program would.
        std::thread::spawn(move || {
            if let Err(error) = report.when_serving(texts, &data, json) {
                output::error(&error);
            }
        });
        run::run(global, &RunArgs::default())
    }

    fn tell_sources(&self, trial: &Trial) {
        for source in &trial.sources {
            self.tell(&match &source.message {
                Some(message) => fill(self.texts.source_fails, &[&source.source, message]),
                None => fill(self.texts.source, &[&source.source, &output::count(source.nodes as usize, "node")]),
            });
        }
    }

    fn tell_change(&self, draft: &Draft) {
        let file = draft.file.display();
        let names: Vec<&str> = draft.added.iter().map(|added| added.name.as_str()).collect();
        if draft.is_new() {
            self.tell(&fill(self.texts.written, &[&file]));
        } else if !names.is_empty() {
            self.tell(&fill(self.texts.added, &[&file, &names.join(", ")]));
        }
    }

    fn tell(&self, text: &str) {
        if !self.args.output.json {
            output::note(text);
        }
    }
}

/// The configuration in use, or the place of a new one: the user's own folder, which commands find from everywhere.
fn configuration_file(global: &GlobalArgs) -> PathBuf {
    let own = || global.user.config_file().unwrap_or_else(|| PathBuf::from(FILE_NAME));
    global.places.file.clone().unwrap_or_else(own)
}

/// The instance that runs with this configuration.
///
/// # Errors
/// It runs without a configuration file, so that nothing can be added to it.
fn running_instance(global: &GlobalArgs) -> anyhow::Result<Option<Remote>> {
    let Some(running) = Running::in_folder(&global.reader().data_folder()) else { return Ok(None) };
    if running.config.as_deref().is_none_or(|file| !is_same(file, &configuration_file(global))) {
        bail!(
            "an instance runs with the data folder {} and not with {} (a demonstration?): end it first",
            running.data.display(),
            configuration_file(global).display()
        );
    }
    Ok(Some(running.into()))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    whole(one) == whole(other)
}

async fn reload(remote: &Remote) -> anyhow::Result<()> {
    remote.post::<ReloadReport>("/api/v1/reload", "{}").await.map(drop)
}

/// The command that starts what was set up.
fn run_command(global: &GlobalArgs) -> String {
    match &global.places.file {
        Some(file) if global.user.config_file().as_ref() != Some(file) && file != Path::new(FILE_NAME) => {
            format!("hezar --config {} run", file.display())
        }
        _ => "hezar run".to_owned(),
    }
}

fn nothing_to_try() -> Misuse {
    Misuse(
        "there is nothing to try:\n  \
         hezar up 'https://example.org/sub?token=x'   the address of a subscription\n  \
         hezar up 'vless://…' 'ss://…'                share links\n  \
         hezar up - < chat.txt                        any text with links in it\n  \
         hezar up --public                            public lists"
            .to_owned(),
    )
}
