//! `hezar page`: the address of the web page, with a one-time code that signs the browser in.

use std::{
    io::{IsTerminal, stdout},
    process::ExitCode,
};

use anyhow::Context;
use serde::Deserialize;

use crate::{cli::PageArgs, output, remote::Remote};

/// The answer to `POST /api/v1/session/code`.
#[derive(Deserialize)]
struct Made {
    code: String,
    expires_in_s: u64,
}

pub(super) async fn page(remote: Remote, args: PageArgs) -> anyhow::Result<ExitCode> {
    let made: Made = remote.post("/api/v1/session/code", "{}").await?;
    // The fragment stays in the browser: no log of any server sees the code.
    let address = format!("http://{}/#code={}", remote.address(), made.code);
    output::line(&address)?;
    output::note(format!("it signs one browser in, once, within {} seconds", made.expires_in_s));
    if !args.print && stdout().is_terminal() && has_browser() {
        open::that_detached(&address).context("the browser cannot be started; open the address by hand")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether this machine has a screen on which a browser can be opened.
fn has_browser() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    cfg!(any(windows, target_os = "macos")) || set("DISPLAY") || set("WAYLAND_DISPLAY")
}
