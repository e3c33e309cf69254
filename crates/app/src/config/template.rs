//! The commented configuration that `hezar init` writes, made from the descriptions of all settings.

use super::described::{Described, SECTIONS, described};

/// The column at which comments begin.
const COMMENTS: usize = 36;

/// The commented configuration. It reads without a problem (a test keeps it so), and every commented line shows the default or an
/// example.
#[must_use]
pub fn template() -> String {
    let all = described();
    let mut text = HEAD.to_owned();
    for (section, about) in SECTIONS {
        let keys: Vec<&Described> =
            all.iter().filter(|key| key.section == section && !key.example.is_empty()).collect();
        let is_set = keys.iter().any(|key| key.set);
        let mark = if is_set { "" } else { "# " };
        text.push_str(&with_comment(&format!("{mark}[{section}]"), about));
        keys.into_iter().for_each(|key| text.push_str(&line(key)));
        text.push('\n');
        if section == "proxy" {
            text.push_str(LISTENER);
        }
    }
    text.push_str(ALERT);
    text.push_str(ABOUT_SOURCES);
    text.push_str(PUBLIC_SOURCES);
    text.push_str(MORE_SOURCES);
    text
}

fn line(key: &Described) -> String {
    let mark = if key.set { "" } else { "# " };
    with_comment(&format!("{mark}{} = {}", key.key, key.example), &key.comment())
}

fn with_comment(text: &str, comment: &str) -> String {
    if comment.is_empty() {
        return format!("{text}\n");
    }
    let width = COMMENTS - 1;
    format!("{text:<width$} # {comment}\n")
}

const HEAD: &str = r#"# Hezar: one proxy address in front of thousands of upstream proxies.
# Every key can also be set from the environment: proxy.listen is HEZAR_PROXY_LISTEN.
# `hezar config check` finds every mistake at once; `hezar config show` prints what is in force.

# data = "hezar-data"               # the store, the API token; a relative path starts at the folder of this file

"#;

const LISTENER: &str = r#"# [[listener]]                      # a further address over a part of the pool; what it does not say, it does as [proxy]
# name = "europe"
# listen = "127.0.0.1:8001"
# kind = "mixed"                    # HTTP and SOCKS; encrypted ones for phones (vless, hysteria2, …): docs/inbounds.md
# countries = ["DE", "NL"]          # also: sources, schemes, strategy, users, client_limits
# tags = "paid & !label:slow"       # tags of sources, label:, country:, scheme:, source:, is:insecure,
                                    # anonymity: (elite, anonymous, transparent, unknown); with & | ! ( )
# max_latency = "800ms"
# top = 50                          # only the fastest ones
# allow_insecure = false            # no nodes that take any certificate

"#;

const ALERT: &str = r#"# [[alert]]                         # tells of troubles without Prometheus: docs/alerts.md
# name = "phone"
# when = ["pool-empty", "healthy-fall", "store-behind", "disk"]
# via = "auto"                      # over nodes, and directly when that fails; "pool"; "direct"
# ntfy = "https://ntfy.sh/topic"    # or a webhook, or a telegram bot

"#;

const ABOUT_SOURCES: &str = r#"# A source is one of: url, file, github, telegram, links, tor (so many circuits: docs/tor.md), hezar (another
# instance: docs/sources.md).
#   via = "auto"                    directly, and over the pool's nodes when that fails (https only); "direct"; "pool"
#   allow_private = true            accepts nodes on private and loopback addresses
#   enabled = false                 is not read, and its nodes are not used
#   tags = ["paid"]                 for the expressions of listeners
#   user_agent, headers, max_bytes, interval, scheme (of bare ip:port lines)

"#;

/// Well-known lists that anybody can read, as `[[source]]` tables.
pub(crate) const PUBLIC_SOURCES: &str = r#"[[source]]
name = "v2rayng-config"
github = "ALIILAPRO/v2rayNG-Config"
paths = ["server.txt"]
interval = "1h"

[[source]]
name = "openray"
github = "sakha1370/OpenRay"
paths = ["output/all_valid_proxies.txt"]
interval = "1h"

[[source]]
name = "multi-proxy-config-fetcher"
github = "4n0nymou3/multi-proxy-config-fetcher"
paths = ["configs/proxy_configs.txt"]
interval = "1h"

[[source]]
name = "freenodes"
github = "Barabama/FreeNodes"
paths = ["nodes/*.txt"]
interval = "6h"

[[source]]
name = "v2rayfree"
github = "aiboboxx/v2rayfree"
paths = ["v2"]
interval = "6h"

[[source]]
name = "http-and-socks"
github = "monosans/proxy-list"
paths = ["proxies/all.txt"]
interval = "30m"
"#;

const MORE_SOURCES: &str = r#"
# [[source]]
# name = "subscription"
# url = "https://example.org/sub?date={Ymd}"
# user_agent = "clash.meta"

# [[source]]
# name = "channel"
# telegram = "name_of_a_public_channel"
# pages = 3

# [[source]]
# name = "mine"
# file = "nodes/*.txt"

# [[source]]
# name = "other-hezar"
# hezar = "https://other.example:9090"
# token = "hz_…"                    # made there: hezar token create NAME --scope feed

# [[source]]
# name = "by-hand"
# links = ["ss://…", "vless://…"]
"#;
