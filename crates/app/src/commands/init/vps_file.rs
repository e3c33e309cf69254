//! The configuration that `hezar init --vps` writes: a listener of each encrypted kind that fits one machine, and a user with links.

use std::{fmt::Write, net::IpAddr};

use hezar_gateway::{InboundProtocol, RealityPrivateKey, UserKey};

use crate::{
    commands::keys::shadowsocks_key,
    config::{Config, ListenerConfig, PUBLIC_SOURCES},
};

/// The user that is made.
pub(super) const USER: &str = "phone";
/// The listener whose keys are kept.
const REALITY: &str = "reality";
/// The cipher of the Shadowsocks listener.
const METHOD: &str = "2022-blake3-aes-128-gcm";
/// The ports from which that of the Shadowsocks listener is drawn: below those that systems give sockets without one.
const SHADOWSOCKS_PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many UDP associations the phones may have, and for how long.
const UDP_BOUNDS: &str = r#"
# UDP of every listener. A phone that sends all its traffic here begins an association for nearly every DNS query and
# every QUIC connection. Clients of Hysteria 2 and Shadowsocks cannot say that one has ended, so each of them stays open
# until it has been idle for udp_idle_timeout. Two minutes are the least that RFC 4787 (REQ-5) lets a NAT wait for ports
# that are not well known: programs that keep a UDP port for longer send something more often.
# A phone in use has an estimated 40 associations at a time, so one listener has room for about 50 of them. A full
# listener may hold 128 MiB of buffers (64 KiB for each association); raise max_associations where there is more memory.
udp_idle_timeout = "2m"
max_associations = 2048
"#;

/// What is random in the file, and stays when the file is written again.
pub(super) struct Secrets {
    key: String,
    password: String,
    reality_key: String,
    short_id: String,
    websocket_path: String,
    xhttp_path: String,
    shadowsocks_key: String,
    shadowsocks_port: u16,
}

/// What the file is made of.
pub(super) struct VpsFile<'a> {
    pub(super) domain: &'a str,
    /// All addresses of this machine.
    pub(super) listen: IpAddr,
    pub(super) secrets: Secrets,
    /// Lines of each `[listener.tls]` beside the name.
    pub(super) acme: String,
    /// The tables of the sources.
    pub(super) sources: String,
}

impl Secrets {
    /// New ones.
    ///
    /// # Errors
    /// Never: the cipher is known.
    pub(super) fn generate() -> anyhow::Result<Self> {
        Ok(Self {
            key: UserKey::generate().to_text().expose().to_owned(),
            password: hex::encode(rand::random::<[u8; 12]>()),
            reality_key: RealityPrivateKey::generate().to_text().expose().to_owned(),
            short_id: hex::encode(rand::random::<[u8; 8]>()),
            websocket_path: format!("/{}", hex::encode(rand::random::<[u8; 8]>())),
            xhttp_path: format!("/{}", hex::encode(rand::random::<[u8; 8]>())),
            shadowsocks_key: shadowsocks_key(METHOD)?,
            shadowsocks_port: rand::random_range(SHADOWSOCKS_PORTS),
        })
    }

    /// The same with what an older file says, so that links that were given out stay good.
    pub(super) fn kept_from(mut self, old: &Config) -> Self {
        if let Some(user) = old.proxy.users.iter().find(|user| &*user.name == USER) {
            keep(&mut self.key, user.key.as_ref().map(|key| key.to_text().expose().to_owned()));
            keep(&mut self.password, user.password.as_ref().map(|password| password.expose().to_owned()));
        }
        let listener = |name: &str| old.listeners.iter().find(|listener| &*listener.name == name);
        if let Some(reality) = listener(REALITY).and_then(|listener| listener.inbound.as_ref()?.reality.as_ref()) {
            keep(&mut self.reality_key, reality.private_key.as_ref().map(|key| key.to_text().expose().to_owned()));
            keep(&mut self.short_id, Some(hex::encode(reality.short_ids.first().as_bytes())));
        }
        let path = |listener: &ListenerConfig| listener.inbound.as_ref()?.transport.path.as_deref().map(str::to_owned);
        keep(&mut self.websocket_path, listener("websocket").and_then(path));
        keep(&mut self.xhttp_path, listener("xhttp").and_then(path));
        if let Some(listener) = listener("shadowsocks") {
            self.shadowsocks_port = listener.listen.port();
            if let Some(InboundProtocol::Shadowsocks(settings)) =
                listener.inbound.as_ref().map(|inbound| &inbound.protocol)
            {
                keep(&mut self.shadowsocks_key, settings.key.as_ref().map(|key| key.expose().to_owned()));
            }
        }
        self
    }
}

fn keep(secret: &mut String, known: Option<String>) {
    if let Some(known) = known {
        *secret = known;
    }
}

impl VpsFile<'_> {
    /// The text of the file.
    pub(super) fn text(&self) -> String {
        let Secrets { key, password, .. } = &self.secrets;
        let mut text = format!(
            "# Hezar for phones at {domain}, written by `hezar init --vps {domain}`: docs/inbounds.md says more.\n\
             # `hezar user link {USER} --qr` prints the links again; whoever has one can use this machine as that user.\n\n\
             [proxy]                             # for programs on this machine; other machines use the listeners below\n\
             listen = \"127.0.0.1:8000\"\n\
             {UDP_BOUNDS}\n\
             [[proxy.users]]\n\
             name = \"{USER}\"\n\
             password = \"{password}\"   # for the port of [proxy] alone\n\
             key = \"{key}\"\n\n\
             [[proxy.users.links]]               # every household has one exit, for two hours\n\
             name = \"sticky\"\n\
             options = \"sesstime-120\"\n\
             session = \"client\"\n\n\
             [[proxy.users.links]]               # only exits in one country\n\
             name = \"germany\"\n\
             options = \"country-de\"\n",
            domain = self.domain,
        );
        self.add_listeners(&mut text);
        text.push('\n');
        text.push_str(&self.sources);
        text
    }

    fn add_listeners(&self, text: &mut String) {
        let Secrets { reality_key, short_id, websocket_path, xhttp_path, shadowsocks_key, .. } = &self.secrets;
        let tls = format!("[listener.tls]\nacme = [\"{}\"]\n{}", self.domain, self.acme);
        let with_site = format!("{tls}[listener.fallback]\nfolder = \"site\"\n");
        let reality = format!(
            "[listener.reality]\nprivate_key = \"{reality_key}\"\nshort_ids = [\"{short_id}\"]\nsite = \"self\"\n"
        );
        let transport =
            |kind: &str, path: &str| format!("[listener.transport]\nkind = \"{kind}\"\npath = \"{path}\"\n");
        let xhttp = format!("{reality}{}{with_site}", transport("xhttp", xhttp_path));
        let websocket = format!("{}{with_site}", transport("websocket", websocket_path));
        let shadowsocks = format!("[listener.shadowsocks]\nmethod = \"{METHOD}\"\nkey = \"{shadowsocks_key}\"\n");
        let all = [
            (REALITY, "vless", 443, format!("{reality}{with_site}")),
            ("hysteria2", "hysteria2", 443, with_site.clone()),
            ("xhttp", "vless", 2083, xhttp),
            ("websocket", "vless", 2053, websocket),
            ("trojan", "trojan", 8443, with_site.clone()),
            ("anytls", "anytls", 2087, with_site),
            ("shadowsocks", "shadowsocks", self.secrets.shadowsocks_port, shadowsocks),
        ];
        for (name, kind, port, tables) in all {
            let listen = std::net::SocketAddr::new(self.listen, port);
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "\n[[listener]]\nname = \"{name}\"\nkind = \"{kind}\"\nlisten = \"{listen}\"\nhost = \"{}\"\n{tables}",
                self.domain
            );
        }
    }
}

/// The tables of sources at these places; well-known public lists where there is none.
pub(super) fn sources(places: &[String], allow_private: bool) -> String {
    if places.is_empty() {
        return PUBLIC_SOURCES.to_owned();
    }
    let private = if allow_private { "allow_private = true\n" } else { "" };
    let table = |(index, place): (usize, &String)| {
        let (key, value) = place_of(place);
        let value = toml::Value::try_from(value).map(|value| value.to_string()).unwrap_or_default();
        format!("[[source]]\nname = \"source-{}\"\n{key} = {value}\n{private}\n", index + 1)
    };
    places.iter().enumerate().map(table).collect()
}

/// The key and the value of a place: a file by its absolute path, since the configuration may be written to another folder.
fn place_of(place: &str) -> (&'static str, serde_json::Value) {
    let (key, value) = super::super::objects::place_of(place);
    let file = if key == "file" { std::path::absolute(place).ok() } else { None };
    (key, file.map_or(value, |file| file.display().to_string().into()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        config::Layers,
        convert,
        invitations::{Remark, invitations},
    };

    fn file(secrets: Secrets) -> String {
        let file = VpsFile {
            domain: "vps.example.org",
            listen: "0.0.0.0".parse().unwrap(),
            secrets,
            acme: String::new(),
            sources: sources(&[], false),
        };
        file.text()
    }

    fn read(text: &str) -> Config {
        Config::read(text, None, &Layers::default()).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    }

    fn links(config: &Config) -> Vec<String> {
        let all = invitations(config, USER, &Remark::default(), |_| None);
        all.iter().map(|invitation| invitation.uri()).collect()
    }

    #[test]
    fn the_file_reads_without_a_warning_and_gives_links_of_every_listener() {
        let config = read(&file(Secrets::generate().unwrap()));
        assert_eq!(config.warnings, Vec::<String>::new());
        // Seven listeners, three links each.
        assert_eq!(links(&config).len(), 21);
        assert!(config.sources.len() >= 5);
        assert!(config.proxy.listen.ip().is_loopback());
    }

    #[test]
    fn every_listener_has_room_for_the_datagrams_of_many_phones() {
        let config = read(&file(Secrets::generate().unwrap()));
        for listener in &config.listeners {
            let gateway = convert::listener(&config, listener, None);
            let bounds = (gateway.max_associations, gateway.udp_idle_timeout);
            assert_eq!(bounds, (2048, Duration::from_secs(120)), "{}", listener.name);
        }
    }

    #[test]
    fn links_stay_when_the_file_is_written_again() {
        let first = read(&file(Secrets::generate().unwrap()));
        let other = read(&file(Secrets::generate().unwrap()));
        let again = read(&file(Secrets::generate().unwrap().kept_from(&first)));
        assert_eq!(links(&again), links(&first));
        assert_eq!(again.proxy.users[0].password, first.proxy.users[0].password);
        assert!(links(&other).iter().all(|link| !links(&first).contains(link)));
    }

    #[test]
    fn a_file_is_named_by_its_absolute_path() {
        let text = sources(&["nodes.txt".to_owned()], false);
        let absolute = std::path::absolute("nodes.txt").unwrap();
        assert!(text.contains(&absolute.display().to_string()), "{text}");
        assert_eq!(read(&text).sources.len(), 1);
    }

    #[test]
    fn sources_are_what_the_command_line_names() {
        let places = ["https://example.org/sub?token=x", "ss://YWVzLTEyOC1nY206cA@192.0.2.1:1"].map(str::to_owned);
        for allow_private in [false, true] {
            let text = sources(&places, allow_private);
            let config = read(&text);
            assert_eq!(config.sources.len(), 2, "{text}");
            assert!(config.sources.iter().all(|source| source.allow_private == allow_private));
        }
    }
}
