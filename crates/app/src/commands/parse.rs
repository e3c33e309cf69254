//! `hezar parse`: what the parser reads in a text, line by line.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, bail};
use hezar_formats::{Entry, Hints, Parsed, Reject};
use serde_json::json;

use crate::{cli::ParseArgs, output};

/// The largest text read, in bytes.
const MAX_BYTES: u64 = 256 << 20;

pub(super) fn parse(args: &ParseArgs) -> anyhow::Result<ExitCode> {
    let bytes = read(&args.file)?;
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parsed = hezar_formats::parse_with(&bytes, &Hints::from_file_name(&name));
    if args.output.json {
        lines(&parsed)?
    } else {
        table(&parsed)?
    }
    // A file in which nothing was understood is a failure that a script should see.
    Ok(if parsed.nodes.is_empty() && !parsed.rejects.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reader: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(file).with_context(|| format!("cannot read {}", file.display()))?)
    };
    reader
        .by_ref()
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", file.display()))?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("{} is larger than 256 MiB", file.display());
    }
    Ok(bytes)
}

/// What stands at one place of the text.
enum Item<'a> {
    Node(&'a Entry),
    Reject(&'a Reject),
}

/// Nodes and refusals together, in order of appearance.
fn items(parsed: &Parsed) -> Vec<Item<'_>> {
    let mut items: Vec<(usize, Item<'_>)> = parsed.nodes.iter().map(|node| (node.line, Item::Node(node))).collect();
    items.extend(parsed.rejects.iter().map(|reject| (reject.line, Item::Reject(reject))));
    items.sort_by_key(|(line, _)| *line);
    items.into_iter().map(|(_, item)| item).collect()
}

fn lines(parsed: &Parsed) -> anyhow::Result<()> {
    for item in items(parsed) {
        let value = match item {
            Item::Node(entry) => json!({
                "line": entry.line,
                "id": entry.spec.id().to_string(),
                "scheme": entry.spec.scheme(),
                "server": entry.spec.server.host().to_string(),
                "port": entry.spec.server.port(),
                "transport": entry.spec.transport().name(),
                "security": entry.spec.security().name(),
                "name": entry.label.as_str(),
                "link": hezar_formats::to_link(&entry.spec, &entry.label),
            }),
            Item::Reject(reject) => json!({
                "line": reject.line,
                "reject": reject.code.code(),
                "excerpt": &*reject.excerpt,
            }),
        };
        output::json(&value)?;
    }
    Ok(())
}

fn table(parsed: &Parsed) -> anyhow::Result<()> {
    let mut table = output::table(["line", "scheme", "server", "transport", "security", "name"]);
    for item in items(parsed) {
        match item {
            Item::Node(entry) => table.add_row([
                entry.line.to_string(),
                entry.spec.scheme().to_owned(),
                entry.spec.server.to_string(),
                entry.spec.transport().to_string(),
                entry.spec.security().to_string(),
                entry.label.to_string(),
            ]),
            Item::Reject(reject) => table.add_row([
                reject.line.to_string(),
                "refused".to_owned(),
                reject.code.code().to_owned(),
                String::new(),
                String::new(),
                reject.excerpt.to_string(),
            ]),
        };
    }
    let distinct: std::collections::HashSet<_> = parsed.nodes.iter().map(|entry| entry.spec.id()).collect();
    output::line(table.to_string())?;
    output::line(format!(
        "{} ({} distinct), {} refused",
        output::count(parsed.nodes.len(), "node"),
        distinct.len(),
        output::count(parsed.rejects.len(), "line")
    ))?;
    Ok(())
}
