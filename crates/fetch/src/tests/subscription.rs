//! What providers say about a subscription, in headers and in comments.

use hezar_core::Timestamp;

use super::site::{Site, answer, ok, url};
use crate::{SubscriptionInfo, Validators};

const LIST: &str = "ss://YWVzLTI1Ni1nY206cGFzcw@192.0.2.1:8388#one\n";

async fn info(headers: &'static [(&'static str, &'static str)], body: &'static str) -> Option<SubscriptionInfo> {
    let site = Site::new(move |_| answer(200, headers, body)).await;
    site.documents(&url("http://lists.test/sub"), &Validators::default()).await.subscription
}

#[tokio::test]
async fn headers_are_read_as_clients_read_them() {
    let found = info(
        &[
            ("subscription-userinfo", "upload=1000; download=2000; total=10000; expire=1769860800"),
            ("profile-title", "base64:2YfYstin2LE="),
            ("profile-update-interval", "12"),
            ("profile-web-page-url", "https://panel.test/me"),
            ("support-url", "https://t.me/help"),
        ],
        LIST,
    )
    .await
    .unwrap();
    assert_eq!((found.left(), found.title.as_deref()), (Some(7000), Some("هزار")));
    assert_eq!(found.expires(), Some(Timestamp(1_769_860_800_000)));
    assert_eq!(found.update_interval_seconds, Some(12 * 3600));
    assert_eq!(found.web_page.as_deref(), Some("https://panel.test/me"));
    assert_eq!(found.support.as_deref(), Some("https://t.me/help"));
    assert_eq!(SubscriptionInfo::from_text(&found.to_text()), Some(found));
}

#[tokio::test]
async fn odd_values_are_read_as_far_as_they_make_sense() {
    let found = info(
        &[
            ("subscription-userinfo", "upload=1.5e3;download=-1;total=0;expire="),
            ("profile-title", "%D9%87%1B[31m"),
            ("support-url", "javascript:alert(1)"),
            ("profile-update-interval", "soon"),
        ],
        LIST,
    )
    .await
    .unwrap();
    assert_eq!((found.upload, found.download, found.total, found.expires_ms), (Some(1500), None, None, None));
    assert_eq!((found.left(), found.support, found.update_interval_seconds), (None, None, None));
    assert_eq!(info(&[("subscription-userinfo", "nothing")], LIST).await, None);
    let milliseconds = info(&[("subscription-userinfo", "expire=1769860800000")], LIST).await.unwrap();
    assert_eq!(milliseconds.expires_ms, Some(1_769_860_800_000));
    let over = info(&[("subscription-userinfo", "upload=9;download=9;total=5")], LIST).await.unwrap();
    assert_eq!(over.left(), Some(0));
}

#[tokio::test]
async fn comments_at_the_start_of_a_list_count_where_headers_are_silent() {
    let body = "#profile-title: base64:aGk=\n// subscription-userinfo: upload=1; download=2; total=3\nss://x\n";
    let found = info(&[("profile-title", "from the header")], body).await.unwrap();
    assert_eq!((found.title.as_deref(), found.left()), (Some("from the header"), Some(0)));
    let site = Site::new(|_| ok(LIST)).await;
    assert_eq!(site.documents(&url("http://lists.test/"), &Validators::default()).await.subscription, None);
}
