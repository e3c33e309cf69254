//! Says in words how far the start of a Tor client is, and what may be wrong when it does not go on.

use std::time::Duration;

use hezar_tor::Bootstrap;

/// A start that stands still for so long needs a hint.
const STUCK: Duration = Duration::from_secs(30);

/// One line for people, such as `tor: 45 % requesting_descriptors (Asking for relay descriptors)`.
pub(super) fn progress(bootstrap: &Bootstrap, still_for: Duration, has_bridges: bool) -> String {
    let Bootstrap { percent, tag, summary, warning } = bootstrap;
    let mut text = format!("tor: {percent} % {tag} ({summary})");
    if let Some(warning) = warning {
        text = format!("{text}; {warning}");
    }
    if still_for >= STUCK {
        text = format!("{text}; {}", hint(bootstrap, has_bridges));
    }
    text
}

/// What may be wrong with a start that stands still.
fn hint(bootstrap: &Bootstrap, has_bridges: bool) -> &'static str {
    let warning = bootstrap.warning.as_deref().unwrap_or_default().to_ascii_lowercase();
    if warning.contains("clock") || warning.contains("skew") {
        return "the clock of this machine is wrong: set it";
    }
    if bootstrap.percent > 50 {
        return "the network is slow, or the clock of this machine is wrong";
    }
    if has_bridges {
        "none of the bridges answers: ask for others (https://bridges.torproject.org), or another transport"
    } else {
        "Tor may be blocked here: give the source bridges (tor_bridges), see docs/tor.md"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(percent: u8, warning: Option<&str>) -> Bootstrap {
        let text = |text: &str| text.to_owned();
        Bootstrap { percent, tag: text("conn"), summary: text("Connecting"), warning: warning.map(text) }
    }

    #[test]
    fn a_start_that_stands_still_has_a_hint() {
        let (soon, late) = (Duration::from_secs(1), STUCK);
        assert_eq!(progress(&at(5, None), soon, false), "tor: 5 % conn (Connecting)");
        assert!(progress(&at(5, None), late, false).contains("tor_bridges"));
        assert!(progress(&at(5, None), late, true).contains("none of the bridges"));
        assert!(progress(&at(5, Some("Clock skew 4000 in NETINFO")), late, true).contains("set it"));
        assert!(progress(&at(75, None), late, false).contains("slow"));
    }
}
