//! The program `hezar`: reads the command line, runs the command, and turns its end into an exit code.

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hezar::execute(hezar::Cli::parse())
}
