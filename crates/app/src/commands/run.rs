//! `hezar run`: everything in one process.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{GlobalArgs, runtime};
use crate::{
    base::Base,
    clash_engine,
    cli::{JsonArgs, RunArgs},
    config::{Config, EngineKind},
    demo::Demo,
    exposure,
    instance::{self, Origin},
    logs,
    output::Misuse,
    places::{DATA_FOLDER, FILE_NAME, UserFolders},
    service_manager,
    signals::{EndSignals, outlive_hangups},
    takeover::{Predecessor, Program},
};

/// What work on other threads gets when everything else has ended.
const LAST_WORK: Duration = Duration::from_secs(1);

pub(super) fn run(global: &mut GlobalArgs, args: &RunArgs) -> anyhow::Result<ExitCode> {
    let program = Program::of_this_process(arguments(global, args));
    let mut inherited = service_manager::sockets();
    for (key, address) in [("proxy.listen", args.listen), ("api.listen", args.api)] {
        if let Some(address) = address {
            global.layers.flags.insert(key.to_owned(), address.to_string());
        }
    }
    if let Some(roles) = args.role {
        global.layers.flags.insert("cluster.roles".to_owned(), roles.to_string());
    }
    if let Some(engine) = &args.engine {
        global.layers.flags.insert("engine.kind".to_owned(), engine.clone());
    }
    let (mut reader, mut config) = (global.reader(), global.config()?);
    if args.no_watch {
        reader = reader.unwatched();
    }
    if args.check {
        return super::version::version(&JsonArgs { json: false });
    }
    let idle = !args.demo && has_nothing_to_serve(&config);
    if idle && global.places.file.is_none() && !has_store(&config) {
        return Err(nothing_to_serve(&global.user).into());
    }
    if args.takeover && config.engine.kind == EngineKind::Clash {
        anyhow::bail!(
            "engine = \"clash\": tunnels of a Clash core cannot be handed over to another process; restart instead"
        );
    }
    let log = Arc::new(logs::start(&config.log)?);
    let (exposed, ignored) = (exposure::warnings(&config), clash_engine::warnings(&config));
    config.warnings.iter().chain(&exposed).chain(&ignored).for_each(|warning| tracing::warn!("{warning}"));
    if let Some(old) = data_left_behind(&config) {
        tracing::warn!(
            "the data lies in {}, beside the configuration; {} of this folder is not used (--data {DATA_FOLDER} uses it)",
            config.data.display(),
            old.display()
        );
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        outlive_hangups();
        let mut end_signals = EndSignals::listen();
        let demo = if args.demo { Some(Demo::start(config.proxy.listen).await?) } else { None };
        if let Some(demo) = &demo {
            reader = reader.adapted(demo.adaptation()?);
            config = reader.parse(config.text.expose(), &[], &|_| false)?;
        }
        let predecessor = if args.takeover { Predecessor::ask(&config.data).await? } else { None };
        let predecessor = predecessor.map(|(predecessor, sockets)| {
            inherited.append(sockets);
            Arc::new(predecessor)
        });
        let base = Base::open_or_copy(config, &reader).await;
        let mut base = told(predecessor.as_deref(), base).await?;
        if idle && has_nothing_to_serve(&base.config) && base.pool.snapshot().counts().total() == 0 {
            if global.places.file.is_none() {
                base.store.close().await;
                return Err(nothing_to_serve(&global.user).into());
            }
            tracing::warn!(
                "there is no source and no node: add [[source]] tables to the configuration, or links with `hezar add`"
            );
        }
        if let Some(demo) = &demo {
            demo.join(&mut base);
        }
        let stop = CancellationToken::new();
        let origin = Origin { program, inherited, predecessor: predecessor.clone() };
        let running = instance::run(base, reader, Arc::clone(&log), origin, stop.clone());
        tokio::pin!(running);
        let ended = tokio::select! {
            ended = running.as_mut() => told(predecessor.as_deref(), ended).await.map(|()| ExitCode::SUCCESS),
            () = end_signals.received() => {
                stop.cancel();
                tokio::select! {
                    ended = running => ended.map(|()| ExitCode::SUCCESS),
                    // A second signal does not wait for the drain, nor for what is not written yet.
                    () = end_signals.received() => {
                        tracing::warn!("ended at once by a second signal: open tunnels were cut, the last seconds may be lost");
                        Ok(ExitCode::FAILURE)
                    }
                }
            }
        };
        if let Some(demo) = demo {
            demo.end().await;
        }
        ended
    });
    // Whatever still runs on other threads does not hold the end up.
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

/// Tells the instance before why this process does not take over.
async fn told<T>(predecessor: Option<&Predecessor>, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
    if let (Some(predecessor), Err(error)) = (predecessor, &outcome) {
        predecessor.failed(error).await;
    }
    outcome
}

/// The arguments with which another process starts as this one did.
fn arguments(global: &GlobalArgs, args: &RunArgs) -> Vec<OsString> {
    let RunArgs { demo, no_watch, takeover: _, role, check: _, engine, listen, api } = args;
    let mut arguments: Vec<OsString> = Vec::new();
    for (flag, path) in [("--config", &global.places.file), ("--data", &global.layers.data)] {
        arguments.extend(path.iter().flat_map(|path| [OsString::from(flag), path.clone().into_os_string()]));
    }
    arguments.push("run".into());
    for (flag, is_set) in [("--demo", demo), ("--no-watch", no_watch)] {
        arguments.extend(is_set.then(|| OsString::from(flag)));
    }
    arguments.extend(role.iter().flat_map(|roles| [OsString::from("--role"), roles.to_string().into()]));
    arguments.extend(engine.iter().flat_map(|engine| [OsString::from("--engine"), engine.into()]));
    for (flag, address) in [("--listen", listen), ("--api", api)] {
        arguments.extend(address.iter().flat_map(|address| [OsString::from(flag), address.to_string().into()]));
    }
    arguments
}

/// Whether no node can come: there is no source, and no other process that shares the store and may have some.
fn has_nothing_to_serve(config: &Config) -> bool {
    config.sources.is_empty() && !config.store.url.is_shared()
}

/// Whether an earlier run has left a store, which may hold nodes.
fn has_store(config: &Config) -> bool {
    hezar_store::has_contents(&config.store, &config.data)
}

/// The file of the store in a data folder; `None` when the store is no file.
fn store_file(config: &Config, data: &Path) -> Option<PathBuf> {
    config.store.url.0.expose().strip_prefix("sqlite:").map(|file| data.join(file))
}

/// A store in the current folder, where earlier versions kept it, when this run will not read it.
fn data_left_behind(config: &Config) -> Option<PathBuf> {
    let old = PathBuf::from(DATA_FOLDER);
    let other = std::path::absolute(&old).ok()? != std::path::absolute(&config.data).ok()?;
    (other && !has_store(config) && store_file(config, &old)?.exists()).then_some(old)
}

fn nothing_to_serve(user: &UserFolders) -> Misuse {
    let own = user.config_file().map(|file| format!(" or {}", file.display())).unwrap_or_default();
    Misuse(format!(
        "there is no configuration (no {FILE_NAME} in this folder{own}) and no stored node: nothing could be served.\n  \
         hezar init                  writes {FILE_NAME} with public sources; then start with: hezar run\n  \
         hezar run --config FILE     uses a configuration that lies elsewhere\n  \
         hezar run --demo            tries it out, without a network"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    #[test]
    fn a_member_waits_for_nodes_of_others() {
        let has_nothing = |text: &str| has_nothing_to_serve(&Config::read(text, None, &Layers::default()).unwrap());
        assert!(has_nothing(""));
        assert!(!has_nothing("[[source]]\nname = \"a\"\nlinks = [\"socks5://192.0.2.1:1\"]\n"));
        assert!(!has_nothing("[store]\nurl = \"postgres://hezar@db.internal/hezar\"\n"));
    }
}
