//! `hezar run`: everything in one process.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::{Said, runtime};
use crate::{
    cli::RunArgs,
    demo::Demo,
    instance::{self, Base, end_signal},
    logs,
};

pub(super) fn run(said: &mut Said, args: &RunArgs) -> anyhow::Result<ExitCode> {
    for (key, address) in [("proxy.listen", args.listen), ("api.listen", args.api)] {
        if let Some(address) = address {
            said.layers.flags.insert(key.to_owned(), address.to_string());
        }
    }
    let mut config = said.config()?;
    let _log = logs::start(&config.log)?;
    runtime()?.block_on(async {
        let demo = if args.demo { Some(Demo::start(&mut config).await?) } else { None };
        let base = Base::open(config).await?;
        if let Some(demo) = &demo {
            demo.join(&base);
        }
        let stop = CancellationToken::new();
        let running = instance::run(base, stop.clone());
        tokio::pin!(running);
        let ended = tokio::select! {
            ended = running.as_mut() => ended,
            () = end_signal() => {
                stop.cancel();
                // A second signal does not wait for the drain.
                tokio::select! {
                    ended = running => ended,
                    () = end_signal() => Ok(()),
                }
            }
        };
        if let Some(demo) = demo {
            demo.end().await;
        }
        ended.map(|()| ExitCode::SUCCESS)
    })
}
