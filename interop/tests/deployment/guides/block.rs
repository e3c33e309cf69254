//! The fenced blocks of a Markdown document.

/// One fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What stands behind the fence, such as `sh run`.
    pub(crate) info: String,
    /// The lines between the fences.
    pub(crate) text: String,
    /// The line of the opening fence, counted from 1.
    pub(crate) line: usize,
}

impl Block {
    /// Whether its commands are run.
    pub(crate) fn is_run(&self) -> bool {
        self.info == "sh run" || self.is_background()
    }

    /// Whether its command keeps running while the next blocks are run.
    pub(crate) fn is_background(&self) -> bool {
        self.info == "sh run background"
    }

    /// The name of the file that it is, such as in `python fetch.py`.
    pub(crate) fn file(&self) -> Option<&str> {
        self.info.split_once(' ').map(|(_, name)| name).filter(|name| name.contains('.'))
    }
}

/// All blocks, in their order.
pub(crate) fn blocks(document: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    for (index, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => {
                open = Some(Block { info: info.trim().to_owned(), text: String::new(), line: index + 1 });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fence is not closed: {open:?}");
    blocks
}

#[test]
fn fences_are_read_with_what_stands_behind_them() {
    let found = blocks("a\n```sh run\nls\n\npwd\n```\n```python x.py\n1\n```\n");
    assert_eq!((found[0].text.as_str(), found[0].line, found[0].is_run()), ("ls\n\npwd\n", 2, true));
    assert_eq!((found[1].file(), found[1].is_run(), found.len()), (Some("x.py"), false, 2));
}
