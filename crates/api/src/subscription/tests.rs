//! Subscriptions as a client reads them, over a real socket.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::{
    tests::{fake::Fake, fixed_config},
    *,
};

const TOKEN: &str = "0123456789abcdef";

impl SubscriptionsPort for Fake {
    fn subscription(&self, token: &str) -> Option<String> {
        (token == TOKEN).then(|| "phone".to_owned())
    }

    fn subscription_token(&self, name: &str) -> Option<hezar_core::Secret> {
        (name == "phone").then(|| TOKEN.into())
    }

    fn subscription_text(&self, asked: &SubscriptionAsked) -> Result<SubscriptionText, ApiError> {
        if asked.countries == ["odd"] {
            return Err(ApiError::BadRequest("country".into()));
        }
        Ok(SubscriptionText {
            text: match asked.inbounds {
                Some(true) => "the user's links".to_owned(),
                _ => format!("{} {:?} {:?} {:?}", asked.target.name(), asked.countries, asked.schemes, asked.top),
            },
            tag: "abc".into(),
            nodes: 3,
            left_out: [("mKCP", 1)].into(),
            title: "Telefon ۱\r\nX: y".into(),
            update_every: Duration::from_secs(5401),
            user: Some(SubscriptionUser { upload: 1, download: 2, total: Some(3), expires: Some(4) }),
        })
    }

    fn links_of_user(&self, user: &str, query: &UserLinksQuery) -> Result<UserLinksDto, ApiError> {
        if user != "ali" {
            return Err(ApiError::NotFound);
        }
        let link = UserLinkDto {
            listener: "trojan".to_owned(),
            link: String::new(),
            name: "Hezar".to_owned(),
            uri: "trojan://secret@vps.example.org:443".to_owned(),
        };
        Ok(UserLinksDto { links: vec![link], document: query.target.clone() })
    }
}

/// Asks one after the other; gives each status, head in lower case and body.
async fn ask_all(requests: &[(&str, &str)]) -> Vec<(u16, String, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let config = fixed_config(&[]);
    let served = tokio::spawn(serve(listener, config, Arc::new(Fake::default()), stop.clone()));
    let mut answers = Vec::new();
    for (path, headers) in requests {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        answers.push((head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned()));
    }
    stop.cancel();
    served.await.unwrap().unwrap();
    answers
}

#[tokio::test]
async fn the_links_of_encrypted_listeners_are_asked_for_by_one_parameter() {
    let path = |query: &str| format!("/sub/{TOKEN}{query}");
    let (yes, no, odd) = (path("?doors=1&target=links"), path("?doors=0&target=links"), path("?doors=maybe"));
    let answers = ask_all(&[(&yes, ""), (&no, ""), (&odd, "")]).await;
    assert_eq!(answers[0].2, "the user's links");
    assert!(answers[1].2.starts_with("links []"), "{answers:?}");
    assert_eq!(answers[2].0, 400);
}

#[tokio::test]
async fn the_form_follows_the_parameter_or_the_client() {
    let path = format!("/sub/{TOKEN}");
    let surge = "User-Agent: Surge iOS/3374\r\n";
    let narrowed = format!("{path}?target=SFA&country=de,%20nl&scheme=vless&top=5");
    let odd = format!("{path}?target=odd");
    let bad = format!("{path}?country=odd");
    let many = format!("{path}?top=-1");
    let answers = ask_all(&[(&path, surge), (&narrowed, surge), (&odd, ""), (&bad, ""), (&many, "")]).await;
    assert_eq!(answers[0].2, "surge [] [] None");
    assert_eq!(answers[1].2, "sing-box-profile [\"de\", \"nl\"] [\"vless\"] Some(5)");
    assert!(answers[2..].iter().all(|(status, ..)| *status == 400), "{answers:?}");
    assert!(answers[2].2.contains("sing-box"), "the error names what there is: {}", answers[2].2);
}

#[tokio::test]
async fn the_headers_that_clients_read_are_there_and_hold_nothing_else() {
    let path = format!("/sub/{TOKEN}?target=clash");
    let answers =
        ask_all(&[(&path, ""), (&path, "If-None-Match: W/\"abc\"\r\n"), (&path, "If-None-Match: \"b\"\r\n")]).await;
    let head = &answers[0].1;
    for line in [
        "content-type: text/yaml; charset=utf-8",
        "subscription-userinfo: upload=1; download=2; total=3; expire=4",
        "profile-update-interval: 2",
        "hezar-nodes: 3; left-out=1",
        "hezar-left-out: 1;why=\"mkcp\"",
        "etag: \"abc\"",
        "cache-control: private, no-cache",
    ] {
        assert!(head.lines().any(|found| found == line), "{line} is missing in {head}");
    }
    assert!(!head.lines().any(|line| line.starts_with("x: y")), "{head}");
    assert_eq!((answers[1].0, &*answers[1].2, answers[2].0), (304, "", 200));
}

#[tokio::test]
async fn unknown_tokens_are_not_told_apart_and_not_guessed_for_long() {
    let known = format!("/sub/{TOKEN}");
    let mut requests = vec![(known.as_str(), ""); 2];
    requests.extend(vec![("/sub/unknown", ""); 25]);
    requests.push((&known, ""));
    let statuses: Vec<u16> = ask_all(&requests).await.into_iter().map(|(status, ..)| status).collect();
    assert_eq!(statuses[..2], [200, 200]);
    assert_eq!(statuses[2..22], [404; 20]);
    assert_eq!(statuses[22..], [429; 6], "neither is the right token answered then");
}

#[tokio::test]
async fn what_is_no_token_is_answered_like_one_that_is_not_known() {
    let long = format!("/sub/{}", "x".repeat(20_000));
    let near = format!("/sub/{}x", TOKEN);
    let paths = [
        "/sub/unknown",
        "/sub/%ff",
        "/sub/%00",
        "/sub/..%2f..",
        "/sub/unknown?top=x&target=odd",
        long.as_str(),
        near.as_str(),
    ];
    let answers = ask_all(&paths.map(|path| (path, ""))).await;
    let without_date =
        |head: &str| head.lines().filter(|line| !line.starts_with("date:")).collect::<Vec<_>>().join("\n");
    let first = (404, without_date(&answers[0].1), answers[0].2.clone());
    for (path, (status, head, body)) in paths.iter().zip(&answers) {
        assert_eq!((*status, without_date(head), body.clone()), first, "{path:.40}");
    }
}

#[tokio::test]
async fn clients_behind_a_server_on_this_machine_have_limits_of_their_own() {
    let known = format!("/sub/{TOKEN}");
    let (guesser, reader) = ("X-Forwarded-For: 192.0.2.1\r\n", "X-Forwarded-For: 192.0.2.1, 203.0.113.5\r\n");
    let mut requests = vec![("/sub/unknown", guesser); 25];
    requests.extend([(&*known, guesser), (&*known, reader), (&*known, "")]);
    let statuses: Vec<u16> = ask_all(&requests).await.into_iter().map(|(status, ..)| status).collect();
    assert_eq!(statuses[25..], [429, 200, 200], "who guesses does not shut the others out");
}

#[tokio::test]
async fn odd_requests_are_answered_in_a_form_or_refused() {
    let path = format!("/sub/{TOKEN}");
    let query = |text: &str| format!("{path}?{text}");
    let (largest, larger) = (query("top=18446744073709551615"), query("top=18446744073709551616"));
    let (injected, doubled) = (query("target=clash%0d%0aX:%20y"), query("target=clash&target=surge"));
    let long = format!("User-Agent: {}\r\n", "clash".repeat(4000));
    let answers = ask_all(&[
        (&path, "User-Agent: \u{202e}Clash/☃\r\n"),
        (&path, &long),
        (&path, "User-Agent: Clash\r\nUser-Agent: Surge\r\n"),
        (&largest, ""),
        (&larger, ""),
        (&injected, ""),
        (&doubled, ""),
    ])
    .await;
    let bodies: Vec<&str> = answers.iter().map(|(_, _, body)| &**body).collect();
    assert_eq!(bodies[..3], ["clash [] [] None"; 3]);
    assert_eq!(bodies[3], "base64 [] [] Some(18446744073709551615)");
    for (status, head, _) in &answers[4..] {
        assert!(*status == 400 && !head.lines().any(|line| line.starts_with("x: y")), "{head}");
    }
}
