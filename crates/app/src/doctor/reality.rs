//! The real sites in front of which REALITY listeners stand: whether their answers can be imitated.

use futures_util::future::join_all;
use hezar_engine::{Engine, NativeEngine, NativeEngineConfig};
use hezar_gateway::{InboundReality, RealitySite, UnusableSite, check_reality_site};

use super::Finding;
use crate::config::{Config, ListenerConfig};

const CHECK: &str = "reality";
const ADVICE: &str = "take a site that speaks TLS 1.3 with X25519, or site = \"self\": docs/inbounds.md";

/// A finding for each listener in front of a real site, which is visited as a browser does it.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let engine = NativeEngine::new(&NativeEngineConfig::default());
    let in_front = config.listeners.iter().filter_map(|listener| Some((listener, foreign(listener)?)));
    join_all(in_front.map(|(listener, reality)| finding(listener, reality, &engine))).await
}

/// The settings of a listener whose site is another machine's.
fn foreign(listener: &ListenerConfig) -> Option<&InboundReality> {
    let reality = listener.inbound.as_ref()?.reality.as_ref()?;
    matches!(reality.site, RealitySite::Foreign(_)).then_some(reality)
}

async fn finding(listener: &ListenerConfig, reality: &InboundReality, engine: &dyn Engine) -> Finding {
    let name = &listener.name;
    match check_reality_site(reality, engine).await {
        Ok(unusable) => match unusable.first() {
            None => Finding::ok(CHECK, format!("listener {name} can answer as its site does")),
            Some(UnusableSite { name: site, why }) => Finding::fail(
                CHECK,
                format!("clients of listener {name} get the site {site} instead of an answer: {why}"),
                ADVICE,
            ),
        },
        Err(error) => Finding::fail(CHECK, format!("listener {name}: {error}"), ADVICE),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::findings;
    use crate::{
        config::{Config, Layers},
        doctor::Verdict,
    };

    #[tokio::test]
    async fn a_site_that_cannot_be_reached_is_named() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listener = |site: &str| {
            let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
            format!(
                "[[listener]]\nname = \"reality\"\nkind = \"vless\"\nlisten = \"127.0.0.1:0\"\n[listener.reality]\n\
                 private_key = \"{key}\"\nsite = \"{site}\"\nserver_names = [\"site.example\"]\n"
            )
        };
        let read = |text: &str| Config::read(text, None, &Layers::default()).unwrap();
        let found = findings(&read(&listener(&closed.to_string()))).await;
        assert_eq!((found.len(), found[0].verdict), (1, Verdict::Fail));
        assert!(found[0].text.contains("site.example") && found[0].text.contains("cannot be reached"), "{found:?}");
        assert!(findings(&read("")).await.is_empty());
    }
}
