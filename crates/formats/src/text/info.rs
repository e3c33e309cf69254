//! Recognises messages of publishers that are written as nodes: `Remaining traffic: 10 GB`, `套餐到期：2030-01-01`.

use std::collections::HashSet;

use hezar_core::Target;

use crate::{Entry, Parsed, RejectCode};

/// What such names hold, in lower case.
const MARKS: &[&str] = &[
    "剩余流量",
    "流量剩余",
    "已用流量",
    "总流量",
    "套餐到期",
    "套餐过期",
    "到期时间",
    "过期时间",
    "有效期",
    "到期：",
    "到期:",
    "过期：",
    "过期:",
    "距离下次重置",
    "下次重置",
    "重置剩余",
    "官网",
    "客服",
    "剩余天数",
    "请更新",
    "续费",
    "防失联",
    "bandwidth:",
    "days remaining",
    "traffic:",
    "traffic：",
    "remaining:",
    "remaining traffic",
    "traffic left",
    "data left",
    "expire:",
    "expire：",
    "expires:",
    "expiry:",
    "expire date",
    "expiration",
    "days left",
    "reset in",
    "حجم باقی",
    "باقی‌مانده",
    "باقیمانده",
    "انقضا",
    "осталось",
    "истекает",
];

/// Units of traffic, in lower case.
const UNITS: &[&str] = &["gib", "mib", "tib", "gb", "mb", "tb"];

fn is_info(entry: &Entry) -> bool {
    let name = entry.label.as_str().to_lowercase();
    MARKS.iter().any(|mark| name.contains(mark)) || is_quota(&name)
}

/// Whether a name in lower case tells how much of how much was used: `10.5GB/100 GB`.
fn is_quota(name: &str) -> bool {
    let name: String = name.split_whitespace().collect();
    name.match_indices('/').any(|(at, _)| {
        let (used, total) = (&name[..at], &name[at + 1..]);
        let amount = UNITS.iter().find_map(|unit| used.strip_suffix(unit)).unwrap_or_default();
        let behind = total.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        amount.ends_with(|c: char| c.is_ascii_digit())
            && behind.len() < total.len()
            && UNITS.iter().any(|unit| behind.starts_with(unit))
    })
}

/// Refuses the messages whose server another entry names as well: the server is a real one, and the message would
/// take its name. A message alone stays, because it may be a node with an odd name.
pub(super) fn without(parsed: Parsed) -> Parsed {
    if !parsed.nodes.iter().any(is_info) {
        return parsed;
    }
    let real: HashSet<Target> =
        parsed.nodes.iter().filter(|entry| !is_info(entry)).map(|entry| entry.spec.server.clone()).collect();
    let mut kept = Parsed { nodes: Vec::new(), rejects: parsed.rejects };
    for entry in parsed.nodes {
        if is_info(&entry) && real.contains(&entry.spec.server) {
            kept.refuse(entry.line, entry.label.as_str(), RejectCode::InfoEntry);
        } else {
            kept.nodes.push(entry);
        }
    }
    kept.rejects.sort_by_key(|reject| reject.line);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_traffic_are_recognised() {
        for quota in ["10.5gb/100 gb", "used 1 gib / 2 tib", "0mb/0mb left"] {
            assert!(is_quota(quota), "{quota}");
        }
        for name in ["de/nl", "10/20", "gb/gb", "10gb", "10gb/", "a/b 10gb", "1gb/x"] {
            assert!(!is_quota(name), "{name}");
        }
    }

    #[test]
    fn a_message_is_refused_only_beside_a_node_at_its_server() {
        let text = "trojan://p@192.0.2.1:443#Expire: 2030-01-01\ntrojan://p@192.0.2.1:443#Berlin\n\
                    trojan://p@192.0.2.2:443#Traffic: 1 GB";
        let parsed = crate::parse(text.as_bytes());
        let names: Vec<_> = parsed.nodes.iter().map(|entry| entry.label.as_str()).collect();
        assert_eq!(names, ["Berlin", "Traffic: 1 GB"], "a message alone may be a node with an odd name");
        let refused: Vec<_> = parsed.rejects.iter().map(|reject| (reject.line, reject.code)).collect();
        assert_eq!(refused, [(1, RejectCode::InfoEntry)]);
    }
}
