//! Finds circles among the top-level modules of a crate.
//!
//! An arrow leads from the module that writes `crate::x` or the like to the top-level module `x`. A name that the crate root
//! re-exports stands for the module that it comes from; the re-export itself is no arrow, since the root lies above all modules.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::PathBuf,
};

use super::{Findings, uses};
use crate::source::Crate;

/// From a module to another one, with the first place that says so.
type Arrows = BTreeMap<String, BTreeMap<String, (PathBuf, usize)>>;

/// Checks one crate.
pub(super) fn check(source: &Crate, found: &mut Findings) {
    let arrows = arrows(source);
    let circular = circular(&arrows);
    let folder = source.folder.display();
    if let Some(circle) = shortest(&arrows, &circular) {
        let circle = show(&circle, &arrows);
        found.errors.push(format!("{folder}: {} arrows form circles; the shortest one:{circle}", circular.len()));
    }
}

/// All arrows of a crate.
fn arrows(source: &Crate) -> Arrows {
    let top: HashSet<&str> = source.top_level().into_iter().collect();
    let exported = source.modules.first().map(|root| uses::exported(&root.tokens)).unwrap_or_default();
    let mut arrows = Arrows::new();
    for module in source.modules.iter().filter(|module| !module.path.is_empty()) {
        for (name, line) in uses::from_root(&module.tokens, module.path.len()) {
            let target = if top.contains(&*name) { Some(&name) } else { exported.get(&name) };
            if let Some(target) = target.filter(|target| top.contains(&***target) && **target != module.path[0]) {
                let place = (module.file.clone(), line);
                arrows.entry(module.path[0].clone()).or_default().entry(target.clone()).or_insert(place);
            }
        }
    }
    arrows
}

/// The arrows that take part in a circle: those whose end leads back to their beginning.
fn circular(arrows: &Arrows) -> Vec<(&str, &str)> {
    let all = arrows.iter().flat_map(|(from, to)| to.keys().map(move |to| (from.as_str(), to.as_str())));
    all.filter(|(from, to)| path(arrows, to, from).is_some()).collect()
}

/// The shortest circle, as the modules along it; the first one is not repeated at the end.
fn shortest<'a>(arrows: &'a Arrows, circular: &[(&'a str, &'a str)]) -> Option<Vec<&'a str>> {
    let mut circle = circular.iter().filter_map(|(from, to)| path(arrows, to, from)).min_by_key(Vec::len)?;
    circle.rotate_right(1);
    Some(circle)
}

/// The shortest path from one module to another, both included.
fn path<'a>(arrows: &'a Arrows, from: &'a str, to: &str) -> Option<Vec<&'a str>> {
    let mut before: HashMap<&str, &str> = HashMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(module) = next.pop_front() {
        if module == to {
            let steps = std::iter::successors(Some(module), |step| before.get(step).copied().filter(|_| *step != from));
            let mut steps: Vec<_> = steps.collect();
            steps.reverse();
            return Some(steps);
        }
        for target in arrows.get(module).into_iter().flat_map(BTreeMap::keys).map(String::as_str) {
            if target != from && !before.contains_key(target) {
                before.insert(target, module);
                next.push_back(target);
            }
        }
    }
    None
}

/// One line for each arrow of a circle.
fn show(circle: &[&str], arrows: &Arrows) -> String {
    let next = circle.iter().cycle().skip(1);
    let lines = circle.iter().zip(next).filter_map(|(from, to)| {
        let (file, line) = arrows.get(*from)?.get(*to)?;
        Some(format!("\n    {from} -> {to}  {}:{line}", file.display()))
    });
    lines.collect()
}
