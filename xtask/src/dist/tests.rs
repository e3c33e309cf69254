//! What can be checked of the release workflow without the machine that runs it.

use std::path::Path;

use clap::Parser;
use saphyr_parser::{Event, Parser as YamlParser};

use crate::Cli;

fn workflow() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(".github/workflows/release.yml")).unwrap()
}

/// All texts in the file, in their order: keys and values.
fn texts(yaml: &str) -> Vec<String> {
    let events = YamlParser::new_from_str(yaml).map(|event| event.unwrap().0);
    events
        .filter_map(|event| if let Event::Scalar(text, ..) = event { Some(text.into_owned()) } else { None })
        .collect()
}

#[test]
fn the_workflow_calls_commands_that_exist() {
    let texts = texts(&workflow());
    let commands: Vec<&str> = texts.iter().filter_map(|text| text.strip_prefix("cargo xtask ")).collect();
    assert!(!commands.is_empty());
    for command in commands {
        let parsed = Cli::try_parse_from(std::iter::once("xtask").chain(command.split_whitespace()));
        assert!(parsed.is_ok(), "cargo xtask {command}: {}", parsed.unwrap_err());
    }
}

#[test]
fn actions_are_pinned_by_commit() {
    let texts = texts(&workflow());
    let used: Vec<&String> = texts.windows(2).filter(|pair| pair[0] == "uses").map(|pair| &pair[1]).collect();
    assert!(used.len() >= 4, "{used:?}");
    for action in used {
        let commit = action.split_once('@').unwrap_or_default().1;
        assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{action}");
    }
}
