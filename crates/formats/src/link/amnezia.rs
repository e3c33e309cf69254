//! `vpn://`: AmneziaVPN's shared servers, a JSON object in base64url, usually compressed as Qt does it (its length in four bytes, then zlib).
//! Containers with AmneziaWG or WireGuard are nodes; the others, and those that only name an API of the vendor, are refused.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use hezar_core::{Label, NodeSpec};

use super::{Named, admission};
use crate::{
    RejectCode, amnezia, field,
    outbound::WireGuardText,
    tree::{Tree, json},
    uri,
};

/// The longest object that is unpacked, in bytes; a link has 64 KiB at most.
const MAX_UNPACKED: u64 = 512 * 1024;

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let (blob, fragment) = body.split_once('#').unwrap_or((body, ""));
    let shared = object(blob).ok_or(RejectCode::UnsupportedScheme)?;
    let last_configs = shared.get("containers").items().iter().filter_map(last_config);
    let (config, options) = last_configs.into_iter().next().ok_or(RejectCode::UnsupportedScheme)?;
    let label = match shared.text(&["description"]) {
        name if fragment.is_empty() => Label::new(name),
        _ => uri::label(fragment),
    };
    let node = node(&config, &options)?;
    // What was packed can be much longer than the link.
    admission::check(&node)?;
    Ok((node, label))
}

fn object(blob: &str) -> Option<Tree> {
    let bytes = field::base64_bytes(blob.trim_end_matches('/'))?;
    let text = if bytes.first() == Some(&b'{') {
        String::from_utf8(bytes).ok()?
    } else {
        let mut text = String::new();
        ZlibDecoder::new(bytes.get(4..)?).take(MAX_UNPACKED).read_to_string(&mut text).ok()?;
        text
    };
    json::read(&text).ok()?.into_iter().next()
}

/// The client's configuration in a container, and where its options of AmneziaWG stand.
fn last_config(container: &Tree) -> Option<(Tree, Tree)> {
    let kind = ["awg", "wireguard"].iter().map(|name| container.get(name)).find(|kind| kind.is_map())?;
    let config = json::read(kind.get("last_config").scalar()).ok()?.into_iter().next()?;
    let options = if config.get("H1").is_null() { kind.clone() } else { config.clone() };
    Some((config, options))
}

fn node(config: &Tree, options: &Tree) -> Result<NodeSpec, RejectCode> {
    let plain = WireGuardText {
        private_key: config.text(&["client_priv_key"]),
        public_key: config.text(&["server_pub_key"]),
        pre_shared_key: config.text(&["psk_key"]),
        addresses: config.get("client_ip").words(),
        mtu: config.text(&["mtu"]),
        keepalive: config.text(&["persistent_keep_alive"]),
        ..WireGuardText::default()
    };
    let outbound = amnezia::with_options(plain.outbound()?, options)?;
    Ok(NodeSpec::new(field::server(config.text(&["hostName"]), config.text(&["port"]))?, outbound))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;
    use crate::{parse_link, to_link};

    const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

    fn shared(container: &str, more: &str) -> String {
        let config = format!(
            r#"{{"client_priv_key":"{KEY}","server_pub_key":"{KEY}","client_ip":"10.8.1.3","hostName":"192.0.2.1","port":31722{more}}}"#
        );
        let quoted = serde_json::to_string(&config).unwrap();
        format!(r#"{{"containers":[{{"{container}":{{"last_config":{quoted}}}}}],"description":"Server 2"}}"#)
    }

    fn packed(text: &str) -> String {
        let mut encoder =
            ZlibEncoder::new(u32::try_from(text.len()).unwrap().to_be_bytes().to_vec(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        format!("vpn://{}", field::base64_url(encoder.finish().unwrap()))
    }

    #[test]
    fn shared_servers_are_nodes_packed_or_not() {
        let awg = shared("awg", r#","H1":"5","S1":"33","Jc":"2""#);
        let (spec, label) = parse_link(&packed(&awg)).unwrap();
        assert_eq!(
            (spec.scheme(), spec.server.to_string().as_str(), label.as_str()),
            ("amneziawg", "192.0.2.1:31722", "Server 2")
        );
        assert_eq!(parse_link(&to_link(&spec, &label)), Ok((spec.clone(), label)));
        let plain = format!("vpn://{}", field::base64_url(&awg));
        assert_eq!(parse_link(&plain).unwrap().0.id(), spec.id());
        assert_eq!(parse_link(&packed(&shared("wireguard", ""))).unwrap().0.scheme(), "wireguard");
    }

    #[test]
    fn what_is_no_server_is_refused() {
        let api =
            format!("vpn://{}", field::base64_url(r#"{"api_endpoint":"https://api.example.test/","protocol":"awg"}"#));
        let long = shared("wireguard", "").replace("10.8.1.3", &"10.0.0.1,".repeat(20_000));
        assert_eq!(parse_link(&packed(&long)).unwrap_err(), RejectCode::TooLong);
        // A bomb: four MiB of spaces in a few kilobytes.
        let bomb = packed(&format!("{{{}", " ".repeat(4 << 20)));
        for link in [api, bomb, packed(&shared("openvpn", "")), "vpn://".into(), "vpn://AAAA".into()] {
            assert_eq!(
                parse_link(&link).unwrap_err(),
                RejectCode::UnsupportedScheme,
                "{}",
                &link[..link.len().min(80)]
            );
        }
    }
}
