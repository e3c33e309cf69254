//! Walks from a crate's root file along its `mod` declarations.

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{Module, Token};

/// How deep modules may be nested; a file that declares itself would never end.
const MAX_DEPTH: usize = 16;

/// Reads a file and all files that it declares as modules.
pub(super) fn read_file(
    workspace: &Path,
    file: &Path,
    path: Vec<String>,
    modules: &mut Vec<Module>,
) -> anyhow::Result<()> {
    let text = fs::read_to_string(file)?;
    let stream = TokenStream::from_str(&text).map_err(|error| anyhow!("{error}"))?;
    let shown = file.strip_prefix(workspace).unwrap_or(file).to_path_buf();
    let mut reader = Reader { workspace, file, shown, modules };
    reader.module(stream, path)
}

struct Reader<'a> {
    workspace: &'a Path,
    file: &'a Path,
    shown: PathBuf,
    modules: &'a mut Vec<Module>,
}

impl Reader<'_> {
    fn module(&mut self, stream: TokenStream, path: Vec<String>) -> anyhow::Result<()> {
        anyhow::ensure!(path.len() <= MAX_DEPTH, "modules nested more than {MAX_DEPTH} deep");
        let at = self.modules.len();
        self.modules.push(Module { path: path.clone(), file: self.shown.clone(), tokens: Vec::new() });
        let mut own = Vec::new();
        for item in items(stream) {
            if item.is_test() {
                continue;
            }
            match item.declares_module() {
                None => item.trees.into_iter().for_each(|tree| flatten(tree, &mut own)),
                Some((name, body)) => {
                    let mut child = path.clone();
                    child.push(name);
                    match body {
                        Some(body) => self.module(body, child)?,
                        None => self.child_file(child)?,
                    }
                }
            }
        }
        self.modules[at].tokens = own;
        Ok(())
    }

    /// Reads `x.rs` or `x/mod.rs` of a module declared in this file.
    fn child_file(&mut self, path: Vec<String>) -> anyhow::Result<()> {
        let name = path.last().context("a module without a name")?;
        let folder = self.file.parent().context("a file without a folder")?;
        let stem = self.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = match stem {
            "lib" | "main" | "mod" => folder.to_path_buf(),
            other => folder.join(other),
        };
        let candidates = [folder.join(name).join("mod.rs"), folder.join(format!("{name}.rs"))];
        let file = candidates.iter().find(|file| file.is_file()).with_context(|| format!("no file for mod {name}"))?;
        read_file(self.workspace, file, path, self.modules).with_context(|| file.display().to_string())
    }
}

/// One item with its attributes.
struct Item {
    trees: Vec<TokenTree>,
}

impl Item {
    /// Whether `#[cfg(test)]`, alone or with further conditions that must hold too, keeps it out of the program.
    fn is_test(&self) -> bool {
        self.trees.windows(2).any(|pair| match pair {
            [TokenTree::Punct(hash), TokenTree::Group(group)] if hash.as_char() == '#' => {
                let text = group.to_string().replace(' ', "");
                text.contains("cfg(test)") || text.contains("cfg(all(test,")
            }
            _ => false,
        })
    }

    /// The name of the module that it declares, with the body if that follows in braces.
    fn declares_module(&self) -> Option<(String, Option<TokenStream>)> {
        let is_mod = |tree: &TokenTree| matches!(tree, TokenTree::Ident(word) if word == "mod");
        let at = self.trees.iter().position(is_mod)?;
        match self.trees.get(at + 1..)? {
            [TokenTree::Ident(name), TokenTree::Punct(end)] if end.as_char() == ';' => Some((name.to_string(), None)),
            [TokenTree::Ident(name), TokenTree::Group(body)] => Some((name.to_string(), Some(body.stream()))),
            _ => None,
        }
    }
}

/// Splits the tokens of a module into its items: each one ends with a semicolon, or with braces that belong to no `use`.
fn items(stream: TokenStream) -> Vec<Item> {
    let mut items = Vec::new();
    let (mut trees, mut import) = (Vec::new(), false);
    for tree in stream {
        import |= matches!(&tree, TokenTree::Ident(word) if word == "use");
        let ends = match &tree {
            TokenTree::Punct(end) => end.as_char() == ';',
            TokenTree::Group(group) => group.delimiter() == Delimiter::Brace && !import,
            _ => false,
        };
        trees.push(tree);
        if ends {
            items.push(Item { trees: std::mem::take(&mut trees) });
            import = false;
        }
    }
    items.push(Item { trees });
    items
}

/// Writes a tree as single tokens; the brackets of a group become tokens of their own.
fn flatten(tree: TokenTree, out: &mut Vec<Token>) {
    let line = tree.span().start().line;
    let TokenTree::Group(group) = tree else {
        out.push(Token { text: tree.to_string(), line });
        return;
    };
    let (open, close) = match group.delimiter() {
        Delimiter::Brace => ("{", "}"),
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    };
    out.push(Token { text: open.to_owned(), line });
    group.stream().into_iter().for_each(|tree| flatten(tree, out));
    out.push(Token { text: close.to_owned(), line: group.span_close().start().line });
}
