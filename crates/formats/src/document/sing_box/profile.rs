//! A whole configuration of sing-box around its outbounds: groups, a route, and what a phone's client needs besides.

use super::super::write::{FASTEST_GROUP, OmittedNode, SELECT_GROUP, TEST_INTERVAL, TEST_URL, Written};
use crate::tree::MapBuilder;

/// The route of everything to the group.
pub(super) const ROUTE: &str = ",\n\"route\": {\"final\":\"Hezar\",\"auto_detect_interface\":true}";
/// The same for a device: names are resolved over the nodes, and its own network is left alone.
pub(super) const PROFILE: &str = concat!(
    ",\n\"inbounds\": [{\"type\":\"tun\",\"tag\":\"tun-in\",\"address\":[\"172.19.0.1/30\",\"fdfe:dcba:9876::1/126\"],",
    "\"auto_route\":true,\"strict_route\":true}]",
    ",\n\"dns\": {\"servers\":[{\"type\":\"tcp\",\"tag\":\"remote\",\"server\":\"1.1.1.1\",\"detour\":\"Hezar\"},",
    "{\"type\":\"local\",\"tag\":\"local\"}],\"final\":\"remote\"}",
    ",\n\"route\": {\"rules\":[{\"action\":\"sniff\"},{\"protocol\":\"dns\",\"action\":\"hijack-dns\"},",
    "{\"ip_is_private\":true,\"outbound\":\"direct\"}],\"final\":\"Hezar\",\"auto_detect_interface\":true,",
    "\"default_domain_resolver\":\"local\"}",
);

/// The entries of a configuration.
pub(super) struct Entries {
    pub(super) outbounds: Vec<String>,
    pub(super) endpoints: Vec<String>,
    /// The tags of the nodes.
    pub(super) tags: Vec<Box<str>>,
    /// The nodes that sing-box would not take.
    pub(super) left_out: Vec<OmittedNode>,
}

impl Entries {
    /// Adds the groups of a profile.
    pub(super) fn add_groups(&mut self) {
        let mut fastest = MapBuilder::default();
        fastest.text("type", "urltest").text("tag", FASTEST_GROUP).texts("outbounds", &self.tags).text("url", TEST_URL);
        fastest.text("interval", &format!("{}s", TEST_INTERVAL.as_secs()));
        let mut direct = MapBuilder::default();
        direct.text("type", "direct").text("tag", "direct");
        let members: Vec<Box<str>> = std::iter::once(FASTEST_GROUP.into()).chain(self.tags.iter().cloned()).collect();
        let mut select = MapBuilder::default();
        select.text("type", "selector").text("tag", SELECT_GROUP);
        // A group without members is refused: then an outbound that reaches nothing has its name.
        let mut none = MapBuilder::default();
        none.text("type", "socks").text("tag", SELECT_GROUP).text("server", "127.0.0.1").number("server_port", Some(9));
        let groups = if self.tags.is_empty() {
            vec![none, direct]
        } else {
            select.texts("outbounds", &members);
            vec![select, fastest, direct]
        };
        self.outbounds.splice(0..0, groups.into_iter().map(|group| group.into_tree().json()));
    }

    /// The whole text, with more members at the end.
    pub(super) fn into_written(self, more: &str) -> Written {
        let mut text = format!("{{\n\"outbounds\": [{}]", lines(&self.outbounds));
        if !self.endpoints.is_empty() {
            text.push_str(&format!(",\n\"endpoints\": [{}]", lines(&self.endpoints)));
        }
        text.push_str(more);
        text.push_str("\n}\n");
        Written { text, left_out: self.left_out }
    }
}

fn lines(entries: &[String]) -> String {
    if entries.is_empty() { String::new() } else { format!("\n{}\n", entries.join(",\n")) }
}
