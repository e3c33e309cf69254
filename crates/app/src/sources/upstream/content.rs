//! Reads an answer of another instance's feed.

use std::{net::IpAddr, str, sync::Arc, time::Duration};

use hezar_api::FeedLineDto;
use hezar_core::{Country, Label, NodeId, NodeSpec, Timestamp};
use hezar_formats::{LinkReader, RejectCode};
use hezar_pool::{Exit, Hearsay};

use crate::feed_name::{self, MOST_VIA};

/// The longest cursor that is kept, in bytes.
const MOST_CURSOR: usize = 256;

/// What an answer says.
#[derive(Debug)]
pub(in crate::sources) struct FeedContent {
    /// Where to go on.
    pub(super) cursor: String,
    /// Whether the nodes are all that the other instance tells.
    pub(in crate::sources) whole: bool,
    /// How many it does not tell because they came from here, or told although they did.
    pub(in crate::sources) from_us: usize,
    /// The nodes that work there.
    pub(in crate::sources) told: Vec<ToldNode>,
    /// Nodes that do not work there any more.
    pub(super) gone: Vec<NodeId>,
    /// Lines that could not be read.
    pub(in crate::sources) rejects: usize,
    /// Why the first of them could not be read.
    pub(in crate::sources) first_reject: Option<RejectCode>,
}

/// A node that works at the other instance.
#[derive(Clone, Debug)]
pub(in crate::sources) struct ToldNode {
    pub(in crate::sources) id: NodeId,
    pub(in crate::sources) spec: NodeSpec,
    pub(in crate::sources) label: Label,
    pub(in crate::sources) hearsay: Hearsay,
    /// The instances over whose feeds it came here, the nearest one in front.
    pub(super) via: Arc<[Box<str>]>,
}

/// Why an answer cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sources) enum FeedFault {
    /// It is no feed.
    NotAFeed,
    /// It is our own feed.
    OurOwn,
}

impl FeedContent {
    /// Whether it has nothing to tell but what came from here.
    pub(in crate::sources) fn is_loop(&self) -> bool {
        self.whole && self.told.is_empty() && self.from_us > 0
    }

    /// Reads an answer for an instance that has this name in feeds.
    ///
    /// # Errors
    /// [`FeedFault`].
    pub(in crate::sources) fn read(bytes: &[u8], own_name: &str, now: Timestamp) -> Result<Self, FeedFault> {
        let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let head = lines.next().and_then(|line| serde_json::from_slice(line).ok());
        let Some(FeedLineDto::Head(head)) = head else { return Err(FeedFault::NotAFeed) };
        if head.instance == own_name {
            return Err(FeedFault::OurOwn);
        }
        if !feed_name::is_name(&head.instance) || head.cursor.len() > MOST_CURSOR {
            return Err(FeedFault::NotAFeed);
        }
        let mut content = Self {
            cursor: head.cursor,
            whole: head.whole,
            from_us: head.from_reader,
            told: Vec::new(),
            gone: Vec::new(),
            rejects: 0,
            first_reject: None,
        };
        let (mut links, direct): (_, Arc<[Box<str>]>) = (LinkReader::default(), [head.instance.as_str().into()].into());
        for line in lines {
            content.take(line, own_name, &direct, &mut links, now);
        }
        Ok(content)
    }

    fn take(&mut self, line: &[u8], own_name: &str, direct: &Arc<[Box<str>]>, links: &mut LinkReader, now: Timestamp) {
        let Ok(FeedLineDto::Node(node)) = serde_json::from_slice(line) else {
            return self.refuse(RejectCode::NotALink);
        };
        let Some(link) = &node.link else {
            match node.id.parse() {
                Ok(id) => self.gone.push(id),
                Err(_) => self.refuse(RejectCode::NotALink),
            }
            return;
        };
        if node.via.iter().any(|name| name == own_name) {
            self.from_us += 1;
            return;
        }
        if node.via.len() >= MOST_VIA || !node.via.iter().all(|name| feed_name::is_name(name)) {
            return self.refuse(RejectCode::NotALink);
        }
        let (spec, label) = match links.read(link) {
            Ok(read) => read,
            Err(code) => return self.refuse(code),
        };
        let via = if node.via.is_empty() {
            Arc::clone(direct)
        } else {
            direct.iter().cloned().chain(node.via.iter().map(|name| name.as_str().into())).collect()
        };
        let hearsay = Hearsay {
            last_ok: Timestamp(now.0.saturating_sub(node.age_ms.unwrap_or(0))),
            latency: node.latency_ms.map(Duration::from_millis),
            exit: read_exit(node.exit_ip.as_deref(), node.country.as_deref()),
        };
        self.told.push(ToldNode { id: spec.id(), spec, label, hearsay, via });
    }

    fn refuse(&mut self, code: RejectCode) {
        self.rejects += 1;
        self.first_reject.get_or_insert(code);
    }
}

fn read_exit(ip: Option<&str>, country: Option<&str>) -> Option<Exit> {
    let ip: IpAddr = ip?.parse().ok()?;
    let country = country.and_then(|text| Country::try_from(text.as_bytes()).ok());
    Some(Exit { ip, country: country.filter(|code| code.iter().all(u8::is_ascii_uppercase)) })
}

/// The links of a feed, one a line, for whoever only looks at it.
pub(in crate::sources) fn links(bytes: &[u8]) -> String {
    let lines = bytes.split(|byte| *byte == b'\n');
    let link = |line: &[u8]| match serde_json::from_slice(line) {
        Ok(FeedLineDto::Node(node)) => node.link,
        _ => None,
    };
    lines.filter_map(link).fold(String::new(), |text, link| text + &link + "\n")
}
