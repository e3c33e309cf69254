//! The guides for people: both languages give the same commands, and every command that is marked `run` is run.

mod block;
mod stage;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use block::{Block, blocks};

/// The languages of the guides; the first one is the one whose commands are run.
const LANGUAGES: [&str; 2] = ["en", "fa"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The names of the guides in a language.
fn guides(language: &str) -> BTreeSet<String> {
    let folder = root().join("docs/guide").join(language);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries.filter(|name| name.ends_with(".md")).collect()
}

fn read(path: &str) -> Vec<Block> {
    blocks(&fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// Fails where two documents give other commands, or give them in another order.
fn assert_same_commands(one: &str, other: &str) {
    let (first, second) = (read(one), read(other));
    for (left, right) in first.iter().zip(&second) {
        let same = left.info == right.info && left.text == right.text;
        assert!(same, "{one}:{} and {other}:{} differ:\n{left:?}\n{right:?}", left.line, right.line);
    }
    assert_eq!(first.len(), second.len(), "{one} and {other} have different numbers of blocks");
}

#[test]
fn both_languages_have_the_same_commands() {
    let [english, persian] = LANGUAGES;
    assert!(guides(english).len() >= 10, "{:?}", guides(english));
    assert_eq!(guides(english), guides(persian));
    for name in guides(english) {
        assert_same_commands(&format!("docs/guide/{english}/{name}"), &format!("docs/guide/{persian}/{name}"));
    }
    assert_same_commands("README.md", "README.fa.md");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let pages = LANGUAGES
        .iter()
        .flat_map(|language| guides(language).into_iter().map(move |name| format!("docs/guide/{language}/{name}")));
    for page in pages.chain(["README.md", "README.fa.md", "docs/guide/README.md", "deploy/README.md"].map(Into::into)) {
        let text = fs::read_to_string(root().join(&page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let place = root().join(&page).parent().unwrap().join(file);
            assert!(place.exists(), "{page}: nothing is at {target}");
        }
    }
}

#[test]
fn every_command_of_the_guides_runs() {
    let Some(stage) = stage::Stage::find() else { return };
    for name in guides(LANGUAGES[0]) {
        let page = format!("docs/guide/{}/{name}", LANGUAGES[0]);
        stage.play(&page, &read(&page));
    }
}
