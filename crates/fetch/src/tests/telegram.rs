//! A channel of our own.

use proptest::prelude::*;

use super::site::{Site, answer, ok};
use crate::{Fetched, SourceKind, SourceSpec, Validators, telegram::html::read_page};

fn spec(channel: &str, pages: u32) -> SourceSpec {
    SourceSpec::new("mine", SourceKind::Telegram { channel: channel.into(), pages })
}

fn message(id: u64, text: &str) -> String {
    format!(
        r#"<div class="tgme_widget_message_wrap js-widget_message_wrap"><div class="tgme_widget_message text_not_supported_wrap js-widget_message" data-post="chan/{id}" data-view='e"y'>
        <div class="tgme_widget_message_bubble"><a class="tgme_widget_message_owner_name" href="https://t.me/chan"><span dir="auto">Not this</span></a>
        <div class="tgme_widget_message_text js-message_text" dir="auto">{text}</div>
        <div class="tgme_widget_message_footer compact">1.2K <time datetime="2026-01-31T10:00:00+00:00">10:00</time></div></div></div></div>"#
    )
}

fn page(messages: &[String]) -> String {
    format!(
        "<!DOCTYPE html><html><head><script>if (a<b && c=='it\\'s') {{}} // don't</script></head><body>{}</body></html>",
        messages.concat()
    )
}

#[tokio::test]
async fn older_pages_are_read_and_edits_noticed() {
    let newest = std::sync::Arc::new(std::sync::Mutex::new("ss://three".to_owned()));
    let shown = std::sync::Arc::clone(&newest);
    let site = Site::new(move |seen| match seen.path.as_str() {
        "/s/chan" => ok(page(&[message(31, "ss://two"), message(32, &shown.lock().unwrap())])),
        "/s/chan?before=31" => ok(page(&[message(7, "ss://zero"), message(8, "ss://one")])),
        "/s/chan?before=7" => ok(page(&[message(1, "ss://first")])),
        _ => answer(404, &[], ""),
    })
    .await;
    let two = site.documents(&spec("@chan", 2), &Validators::default()).await;
    let text = String::from_utf8(two.documents[0].bytes.to_vec()).unwrap();
    let links: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(links, ["ss://two", "ss://three", "ss://zero", "ss://one"]);
    assert_eq!(&*two.documents[0].name, "chan");
    assert_eq!(site.fetch(&spec("https://t.me/s/chan", 2), &two.validators).await.unwrap(), Fetched::NotModified);
    *newest.lock().unwrap() = "ss://edited".into();
    assert!(matches!(site.fetch(&spec("chan", 2), &two.validators).await.unwrap(), Fetched::Documents(_)));
    site.seen();
    site.documents(&spec("t.me/chan", 50), &Validators::default()).await;
    assert_eq!(site.seen().len(), 3);
}

#[tokio::test]
async fn a_failing_older_page_keeps_the_newer_ones() {
    let site = Site::new(|seen| match seen.path.as_str() {
        "/s/chan" => ok(page(&[message(31, "ss://two")])),
        _ => answer(500, &[], ""),
    })
    .await;
    let found = site.documents(&spec("chan", 3), &Validators::default()).await;
    assert_eq!((found.documents.len(), found.failed[0].code), (1, "http-status"));
    assert!(!found.is_complete());
}

#[tokio::test]
async fn a_server_that_leads_in_circles_is_left() {
    let site = Site::new(|_| ok(page(&[message(31, "ss://two")]))).await;
    site.documents(&spec("chan", 50), &Validators::default()).await;
    assert_eq!(site.seen().len(), 2);
}

#[tokio::test]
async fn private_channels_and_odd_names_are_errors() {
    let site = Site::new(|seen| match seen.path.as_str() {
        "/s/closed" => answer(302, &[("location", "/closed")], ""),
        _ => ok("<html><body>Contact @closed</body></html>"),
    })
    .await;
    assert_eq!(site.failure(&spec("closed", 1)).await.code(), "no-messages");
    for name in ["", "@", "a/b", "+invite", "https://example.org/chan"] {
        assert_eq!(site.failure(&spec(name, 1)).await.code(), "bad-name", "{name}");
    }
}

#[test]
fn text_is_taken_out_of_the_markup() {
    let cases = [
        ("a<br>b<br/>c", "a b c"),
        ("<b>x</b>y<i class=\"emoji\" style=\"background-image:url('//t.me/a>b')\"><b>🇩🇪</b></i>", "xy🇩🇪"),
        ("ss://a?x=1&amp;y=2&#39;&#x41;&nbsp;&unknown;&", "ss://a?x=1&y=2'A &unknown;&"),
        ("<code>ss://a</code><code>ss://b</code>", "ss://a ss://b"),
        ("<pre>vless://a\nvless://b</pre>", "vless://a vless://b"),
        ("<a href=\"vless://u@h:1?a=b&amp;c=d#n\">connect</a>", "vless://u@h:1?a=b&c=d#n connect"),
        ("<a href=\"https://t.me/x\">channel</a> <a href='tg://proxy?server=a'>p</a>", "channel p"),
        ("<div>nested</div>still inside", "nested still inside"),
        ("uuid@<a href=\"mailto:u@h\">host</a>:443", "uuid@host:443"),
    ];
    for (html, expected) in cases {
        let page = read_page(&page(&[message(5, html)]));
        let words: Vec<&str> = page.text.split_whitespace().collect();
        assert_eq!((words.join(" ").as_str(), page.oldest), (expected, Some(5)), "{html}");
    }
}

#[test]
fn the_corpus_excerpt_gives_its_links() {
    let excerpt = "<b>🔒 VLESS XRAY</b>\n<b>Path :</b> /vless\n<b>Link TLS</b>\n\
        <code>vless://0@192.0.2.1:443?path=/vless&security=tls&type=ws#C</code>\n\n<b>Unifi</b>\n<code>vmess://eyJhIjoxfQ==</code>";
    let text = read_page(&page(&[message(9, excerpt)])).text;
    let links: Vec<&str> = text.lines().map(str::trim).filter(|line| line.contains("://")).collect();
    assert_eq!(links, ["vless://0@192.0.2.1:443?path=/vless&security=tls&type=ws#C", "vmess://eyJhIjoxfQ=="]);
}

proptest! {
    #[test]
    fn no_page_is_too_odd(html in "(<|>|/|div|class=|\"|'|tgme_widget_message_text|data-post=|script|a/9|&|#|;|br|é| |x){0,60}") {
        let page = read_page(&html);
        prop_assert!(page.text.len() <= html.len() * 2);
    }

    #[test]
    fn plain_text_survives(text in "[a-zA-Z0-9:/@?=#.é🇩🇪 -]{0,80}") {
        let page = read_page(&message(1, &text));
        prop_assert_eq!(page.text.trim(), text.trim());
    }
}
