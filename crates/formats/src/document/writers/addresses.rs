//! Writes bare addresses: `host:port` lines, with `:user:password` where the proxy asks for it.

use hezar_core::{Host, Label, NodeSpec, Outbound};

use super::super::write::{OmittedNode, Unwritable, Written};

/// What a bare address cannot say.
const NOT_BARE: Unwritable = Unwritable("more than a bare address of an HTTP or SOCKS proxy");

/// Writes every HTTP and SOCKS proxy that is spoken to without TLS; a bare address cannot say more. It does not say the
/// protocol either: choose nodes of one scheme.
pub(crate) fn document<'a>(nodes: impl Iterator<Item = (&'a NodeSpec, &'a Label)>) -> Written {
    let mut written = Written::default();
    for (index, (spec, _)) in nodes.enumerate() {
        match line(spec) {
            Some(line) => {
                written.text.push_str(&line);
                written.text.push('\n');
            }
            None => written.left_out.push(OmittedNode { index, reason: NOT_BARE }),
        }
    }
    written
}

fn line(spec: &NodeSpec) -> Option<String> {
    let (credentials, tls) = match &spec.outbound {
        Outbound::Socks(socks) => (socks.credentials.as_ref(), socks.tls.is_some()),
        Outbound::Http(http) => (http.credentials.as_ref(), http.tls.is_some()),
        _ => return None,
    };
    if tls || spec.via().is_some() {
        return None;
    }
    let server = match spec.server.host() {
        Host::Ip(std::net::IpAddr::V6(v6)) => format!("[{v6}]:{}", spec.server.port()),
        host => format!("{host}:{}", spec.server.port()),
    };
    let Some(credentials) = credentials else { return Some(server) };
    let (user, password) = (&*credentials.username, credentials.password.expose());
    let fits = |text: &str| !text.is_empty() && !text.contains([':', '@', ' ', '\n', '\r', '\t', ',', ';', '|']);
    (fits(user) && fits(password)).then(|| format!("{server}:{user}:{password}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_link;

    #[test]
    fn only_what_a_bare_address_can_say_is_written() {
        let links = [
            "socks5://192.0.2.1:1080",
            "http://user:pass@192.0.2.2:8080",
            "socks5://[2001:db8::1]:1080",
            "https://192.0.2.3:443",
            "trojan://p@192.0.2.4:443",
            "http://user:pa%3Ass@192.0.2.5:8080",
        ];
        let nodes: Vec<_> = links.iter().map(|link| parse_link(link).unwrap()).collect();
        let written = document(nodes.iter().map(|(spec, label)| (spec, label)));
        assert_eq!(written.text, "192.0.2.1:1080\n192.0.2.2:8080:user:pass\n[2001:db8::1]:1080\n");
        assert_eq!(written.left_out.iter().map(|left_out| left_out.index).collect::<Vec<_>>(), [3, 4, 5]);
    }
}
