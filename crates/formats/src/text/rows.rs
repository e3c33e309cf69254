//! Decides whether rows with addresses are a list: an address is a node only where most of the text is such rows.

use std::net::IpAddr;

use hezar_core::{Host, Label, NodeSpec, Outbound};

use super::columns::{self, Columns};
use crate::{
    ListScheme, Parsed, RejectCode,
    list::{self, Row},
    markup::{CELL, Dress},
};

/// The result of reading a line.
pub(super) enum RowResult {
    /// It has nodes, which wait until it is known whether the text is a list.
    Pending,
    /// It has neither nodes nor anything to refuse.
    Nothing,
    /// It is refused.
    Refused(RejectCode),
}

/// A row whose nodes wait.
struct Waiting<'t> {
    number: usize,
    text: &'t str,
    nodes: Vec<(NodeSpec, Label)>,
}

/// The rows of a text, or of a paragraph of Markdown, so far.
pub(super) struct Rows<'t> {
    default: ListScheme,
    dress: Dress,
    columns: Option<Columns>,
    waiting: Vec<Waiting<'t>>,
    /// Lines that are neither rows nor links.
    others: usize,
    /// Whether one of the rows was in the cells of a table.
    table: bool,
}

impl<'t> Rows<'t> {
    pub(super) fn new(default: ListScheme, dress: Dress) -> Self {
        Self { default, dress, columns: None, waiting: Vec::new(), others: 0, table: false }
    }

    /// Reads a line, or a piece of one; `text` is what a refusal would show.
    pub(super) fn read(&mut self, number: usize, line: &str, text: &'t str) -> RowResult {
        let table = line.contains(CELL);
        let unnamed = |nodes: Vec<NodeSpec>| nodes.into_iter().map(|node| (node, Label::default())).collect();
        if let Some(nodes) = self.columns.and_then(|columns| columns.read(line, self.default)) {
            return self.take(number, text, unnamed(nodes));
        }
        match list::read(line, self.default) {
            Row::Nodes(nodes) => {
                self.table |= table;
                self.take(number, text, unnamed(nodes))
            }
            Row::Spoilt(code) => RowResult::Refused(code),
            Row::Blank => RowResult::Nothing,
            Row::Heading(scheme) => {
                self.default = scheme;
                RowResult::Nothing
            }
            Row::Prose => {
                if let Some(columns) = Columns::parse(line) {
                    self.columns = Some(columns);
                    return RowResult::Nothing;
                }
                if columns::is_title(line) {
                    return RowResult::Nothing;
                }
                self.others += 1;
                RowResult::Refused(RejectCode::NotALink)
            }
        }
    }

    /// Takes the nodes of a row, except addresses in private networks: pages mention them, and they are no public proxies.
    pub(super) fn take(&mut self, number: usize, text: &'t str, nodes: Vec<(NodeSpec, Label)>) -> RowResult {
        if self.dress.any() && nodes.iter().any(|(node, _)| is_inside(node) && !has_login(node)) {
            self.others += 1;
            return RowResult::Refused(RejectCode::NotALink);
        }
        self.waiting.push(Waiting { number, text, nodes });
        RowResult::Pending
    }

    /// Reads a remark, which may be the heading of rows.
    pub(super) fn remark(&mut self, line: &str) {
        if let Row::Heading(scheme) = list::read(line.trim_start_matches(['#', '/', ';']), self.default) {
            self.default = scheme;
        }
    }

    /// Counts a line that holds an address in a sentence.
    pub(super) fn prose(&mut self) {
        self.others += 1;
    }

    /// The end of a paragraph, which counts for itself in Markdown.
    pub(super) fn blank(&mut self, parsed: &mut Parsed) {
        if self.dress.markdown {
            self.settle(parsed);
            self.columns = None;
        }
    }

    /// Decides about the rows so far.
    pub(super) fn settle(&mut self, parsed: &mut Parsed) {
        let (rows, others) = (self.waiting.len(), std::mem::take(&mut self.others));
        let is_list = match (self.dress.markdown, self.dress.html) {
            (true, _) => rows > 1 && rows >= others,
            (false, true) => self.table || rows > 2 && rows * 4 >= others,
            (false, false) => rows >= others,
        };
        for Waiting { number, text, nodes } in self.waiting.drain(..) {
            if is_list {
                nodes.into_iter().for_each(|(node, label)| parsed.accept(number, node, label));
            } else if !self.dress.any() {
                parsed.refuse(number, text, RejectCode::NotALink);
            }
        }
    }
}

/// Whether a node is at this machine or in a private network.
pub(super) fn is_inside(node: &NodeSpec) -> bool {
    match node.server.host() {
        Host::Ip(IpAddr::V4(v4)) => v4.is_loopback() || v4.is_private() || v4.is_unspecified(),
        Host::Ip(IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unspecified(),
        Host::Name(name) => name.as_str() == "localhost",
    }
}

fn has_login(node: &NodeSpec) -> bool {
    match &node.outbound {
        Outbound::Http(http) => http.credentials.is_some(),
        Outbound::Socks(socks) => socks.credentials.is_some(),
        _ => false,
    }
}
