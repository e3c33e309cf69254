//! XHTTP's `extra` settings: Xray's JSON object, and the names that mihomo gives to its members.

use super::clash;
use crate::{
    carrier::xray::extra_text,
    tree::{MapBuilder, Tree, json},
};

/// mihomo's and Xray's names of the plain settings.
const NAMES: &[(&str, &str)] = &[
    ("no-grpc-header", "noGRPCHeader"),
    ("no-sse-header", "noSSEHeader"),
    ("x-padding-bytes", "xPaddingBytes"),
    ("sc-max-each-post-bytes", "scMaxEachPostBytes"),
    ("sc-min-posts-interval-ms", "scMinPostsIntervalMs"),
    ("sc-max-buffered-posts", "scMaxBufferedPosts"),
    ("sc-stream-up-server-secs", "scStreamUpServerSecs"),
    ("x-padding-obfs-mode", "xPaddingObfsMode"),
    ("x-padding-key", "xPaddingKey"),
    ("x-padding-header", "xPaddingHeader"),
    ("x-padding-placement", "xPaddingPlacement"),
    ("x-padding-method", "xPaddingMethod"),
    ("uplink-http-method", "uplinkHTTPMethod"),
    ("session-placement", "sessionPlacement"),
    ("session-key", "sessionKey"),
    ("session-table", "sessionIDTable"),
    ("session-length", "sessionIDLength"),
    ("seq-placement", "seqPlacement"),
    ("seq-key", "seqKey"),
    ("uplink-data-placement", "uplinkDataPlacement"),
    ("uplink-data-key", "uplinkDataKey"),
    ("uplink-chunk-size", "uplinkChunkSize"),
];

/// The same for the members of `reuse-settings` and `xmux`.
const REUSE: &[(&str, &str)] = &[
    ("max-concurrency", "maxConcurrency"),
    ("max-connections", "maxConnections"),
    ("c-max-reuse-times", "cMaxReuseTimes"),
    ("h-max-request-times", "hMaxRequestTimes"),
    ("h-max-reusable-secs", "hMaxReusableSecs"),
    ("h-keep-alive-period", "hKeepAlivePeriod"),
];

/// The `extra` object from mihomo's `xhttp-opts`, as compact JSON; empty when there is none. What separate settings for the
/// download leave out stands in the rest of the `entry`.
pub(super) fn extra_from_clash(entry: &Tree, opts: &Tree) -> String {
    let extra = opts.get("extra");
    if !extra.is_null() {
        return extra_text(extra);
    }
    let mut map = settings(opts.pairs());
    let download = opts.get("download-settings");
    if download.is_map() {
        map.map("downloadSettings", download_settings(&over(entry, download), &over(opts, download)));
    }
    let tree = map.into_tree();
    if tree.pairs().is_empty() { String::new() } else { tree.json() }
}

/// The members of `over`, and those of `tree` that it lacks.
fn over(tree: &Tree, over: &Tree) -> Tree {
    let lacking = |(name, _): &&(Box<str>, Tree)| over.get(name).is_null();
    Tree::Map(over.pairs().iter().chain(tree.pairs().iter().filter(lacking)).cloned().collect())
}

/// The plain settings by Xray's names.
fn settings(pairs: &[(Box<str>, Tree)]) -> MapBuilder {
    let mut map = MapBuilder::default();
    for (name, value) in pairs {
        let known = NAMES.iter().find(|(clash, xray)| *clash == name.as_ref() || *xray == name.as_ref());
        if let Some((_, xray)) = known
            && value.is_scalar()
        {
            map.put(xray, value.clone());
        } else if name.as_ref() == "headers" {
            let others: Vec<_> =
                value.pairs().iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")).cloned().collect();
            map.put("headers", if others.is_empty() { Tree::Null } else { Tree::Map(others) });
        } else if name.as_ref() == "reuse-settings" {
            let mut reuse = MapBuilder::default();
            for (clash, xray) in REUSE {
                reuse.put(xray, value.get(clash).clone());
            }
            map.map("xmux", reuse);
        }
    }
    map
}

/// `downloadSettings` in Xray's words.
fn download_settings(entry: &Tree, opts: &Tree) -> MapBuilder {
    let (reality, mut tls) = (entry.get("reality-opts"), MapBuilder::default());
    tls.text("serverName", entry.text(&["servername", "sni"]));
    tls.put("alpn", entry.get("alpn").clone()).put("fingerprint", entry.get("client-fingerprint").clone());
    let (kind, settings_name) = if reality.is_map() {
        tls.put("publicKey", reality.get("public-key").clone()).put("shortId", reality.get("short-id").clone());
        ("reality", "realitySettings")
    } else {
        tls.put("allowInsecure", entry.get("skip-cert-verify").clone());
        tls.text("pinnedPeerCertSha256", clash::read::pin_text(entry));
        (if entry.flag(&["tls"]) { "tls" } else { "none" }, "tlsSettings")
    };
    let mut http = settings(opts.pairs());
    http.put("path", opts.get("path").clone()).put("host", opts.get("host").clone());
    let mut map = MapBuilder::default();
    map.put("address", entry.get("server").clone()).put("port", entry.get("port").clone());
    map.text("network", "xhttp").text("security", kind).map(settings_name, tls).map("xhttpSettings", http);
    map
}

/// Puts the members of an `extra` object into `xhttp-opts`; `false` when mihomo has no word for one of them.
pub(super) fn extra_to_clash(extra: &str, opts: &mut MapBuilder) -> bool {
    let Ok(trees) = json::read(extra) else { return false };
    let [tree] = trees.as_slice() else { return false };
    for (name, value) in tree.pairs() {
        if name.as_ref() == "headers" {
            opts.put("headers", value.clone());
            continue;
        }
        if name.as_ref() == "xmux" {
            let mut reuse = MapBuilder::default();
            for (name, value) in value.pairs() {
                let Some((clash, _)) = REUSE.iter().find(|(_, xray)| *xray == name.as_ref()) else { return false };
                reuse.put(clash, value.clone());
            }
            opts.map("reuse-settings", reuse);
            continue;
        }
        let Some((clash, _)) = NAMES.iter().find(|(_, xray)| *xray == name.as_ref()) else { return false };
        opts.put(clash, value.clone());
    }
    true
}
