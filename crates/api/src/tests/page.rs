//! The page's files, and browsers that sign in: what a cookie opens, for whom, and until when.

use super::*;

const PAGE: &str = "X-Hezar-Page: 1\r\n";

/// One API for several requests.
struct Api {
    address: std::net::SocketAddr,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), ApiServeError>>,
}

/// An answer: its status, its head and its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Api {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let config = fixed_config(&[]);
        let served = tokio::spawn(serve(listener, config, Arc::new(Fake::default()), stop.clone()));
        Self { address, stop, served }
    }

    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let host = self.address;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        if path.starts_with("/api") {
            check_contract(request.as_bytes(), status, head, body);
        }
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Signs in with the token; gives the header that holds the cookie.
    async fn sign_in(&self) -> String {
        let answer = self.ask("POST", "/api/v1/session", PAGE, r#"{"token":"secret"}"#).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.cookie()
    }

    async fn end(self) {
        self.stop.cancel();
        self.served.await.unwrap().unwrap();
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default()
    }

    fn cookie(&self) -> String {
        format!("Cookie: {}\r\n", self.header("set-cookie").split(';').next().unwrap())
    }
}

#[tokio::test]
async fn a_browser_signs_in_and_out() {
    let api = Api::start().await;
    let answer = api.ask("POST", "/api/v1/session", PAGE, r#"{"token":"secret"}"#).await;
    let given = answer.header("set-cookie");
    assert!(given.starts_with(&format!("hezar-{}=", api.address.port())), "{given}");
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"] {
        assert!(given.split("; ").any(|part| part == attribute), "{attribute} not in {given}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    let cookie = answer.cookie();
    assert_eq!(api.ask("GET", "/api/v1/status", &cookie, "").await.status, 200);
    assert_eq!(api.ask("GET", "/api/v1/session", &cookie, "").await.body, r#"{"signed_in":true}"#);
    // A second sign-in ends the first one of this browser.
    let again = api.ask("POST", "/api/v1/session", &format!("{PAGE}{cookie}"), r#"{"token":"secret"}"#).await.cookie();
    assert_eq!(api.ask("GET", "/api/v1/status", &cookie, "").await.status, 401);
    let out = api.ask("DELETE", "/api/v1/session", &format!("{PAGE}{again}"), "").await;
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.head);
    assert_eq!(api.ask("GET", "/api/v1/status", &again, "").await.status, 401);
    assert_eq!(api.ask("GET", "/api/v1/session", &again, "").await.body, r#"{"signed_in":false}"#);
    api.end().await;
}

#[tokio::test]
async fn a_cookie_that_was_set_over_https_is_for_https_alone() {
    let api = Api::start().await;
    for (scheme, expected) in [("http", false), ("https", true)] {
        let headers = format!("{PAGE}Origin: {scheme}://{}\r\n", api.address);
        let answer = api.ask("POST", "/api/v1/session", &headers, r#"{"token":"secret"}"#).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("set-cookie").split("; ").any(|part| part == "Secure"), expected, "{scheme}");
    }
    api.end().await;
}

#[tokio::test]
async fn a_wrong_secret_signs_nobody_in() {
    let api = Api::start().await;
    for (body, status) in [
        (r#"{"token":"wrong"}"#, 401),
        (r#"{"token":"bad\r\nvalue"}"#, 401),
        (r#"{"code":"00"}"#, 401),
        (r#"{"token":"secret","code":"00"}"#, 400),
        ("{}", 400),
        (r#"{"colour":"red"}"#, 400),
    ] {
        let answer = api.ask("POST", "/api/v1/session", PAGE, body).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (status, ""), "{body}");
    }
    let cookie = format!("Cookie: hezar-{}={}\r\n", api.address.port(), "0".repeat(64));
    assert_eq!(api.ask("GET", "/api/v1/status", &cookie, "").await.status, 401);
    api.end().await;
}

#[tokio::test]
async fn another_site_can_neither_use_the_cookie_nor_sign_in() {
    let api = Api::start().await;
    let cookie = api.sign_in().await;
    let own = format!("Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n", api.address);
    let other_port = "Origin: http://127.0.0.1:1\r\nSec-Fetch-Site: same-site\r\n";
    let body = r#"{"ids":[]}"#;
    for (method, path, headers, body, status) in [
        ("GET", "/api/v1/status", format!("{cookie}{own}"), "", 200),
        ("DELETE", "/api/v1/nodes", format!("{cookie}{own}{PAGE}"), body, 200),
        // A form of another site has the cookie with an old browser, and not the header.
        ("DELETE", "/api/v1/nodes", format!("{cookie}{own}"), body, 403),
        ("DELETE", "/api/v1/nodes", cookie.clone(), body, 403),
        ("DELETE", "/api/v1/nodes", format!("{cookie}{other_port}{PAGE}"), body, 403),
        ("GET", "/api/v1/status", format!("{cookie}{other_port}"), "", 403),
        ("GET", "/api/v1/status", format!("{cookie}Sec-Fetch-Site: cross-site\r\n"), "", 403),
        ("POST", "/api/v1/session", String::new(), r#"{"token":"secret"}"#, 403),
        ("POST", "/api/v1/session", format!("{other_port}{PAGE}"), r#"{"token":"secret"}"#, 403),
        ("DELETE", "/api/v1/session", cookie.clone(), "", 403),
        // A program with a token of its own is no browser.
        ("DELETE", "/api/v1/nodes", "Authorization: Bearer secret\r\n".to_owned(), body, 200),
        ("GET", "/api/v1/status", format!("{cookie}Authorization: Bearer wrong\r\n"), "", 401),
    ] {
        let answer = api.ask(method, path, &headers, body).await;
        assert_eq!(answer.status, status, "{method} {path} {headers}: {}", answer.body);
        assert_eq!(status == 403, answer.body.contains("api-cross-site"), "{}", answer.body);
    }
    api.end().await;
}

#[tokio::test]
async fn a_code_of_the_command_line_signs_in_once() {
    let api = Api::start().await;
    assert_eq!(api.ask("POST", "/api/v1/session/code", "", "").await.status, 401);
    let made = api.ask("POST", "/api/v1/session/code", "Authorization: Bearer secret\r\n", "").await;
    let made: SignInCodeDto = serde_json::from_str(&made.body).unwrap();
    assert_eq!(made.expires_in_s, 120);
    let body = format!(r#"{{"code":"{}"}}"#, made.code);
    let cookie = api.ask("POST", "/api/v1/session", PAGE, &body).await.cookie();
    assert_eq!(api.ask("GET", "/api/v1/status", &cookie, "").await.status, 200);
    assert_eq!(api.ask("POST", "/api/v1/session", PAGE, &body).await.status, 401);
    api.end().await;
}

#[tokio::test]
async fn the_files_come_with_a_strict_policy_or_the_page_says_what_is_missing() {
    let api = Api::start().await;
    let index = api.ask("GET", "/", "Accept-Encoding: identity\r\n", "").await;
    assert_eq!((index.status, index.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = index.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(index.header("x-frame-options"), "DENY");
    assert_eq!(index.header("content-encoding"), "");
    for path in ["/assets/none.js", "/assets/..%2findex.html", "/assets/", "/assets/a/b"] {
        assert_eq!(api.ask("GET", path, "", "").await.status, 404, "{path}");
    }
    if let Some(reason) = hezar_page::missing() {
        assert!(index.body.contains("HEZAR_PAGE_DIST"), "{reason}: {}", index.body);
        return api.end().await;
    }
    let tag = index.header("etag").to_owned();
    assert_eq!(api.ask("GET", "/", &format!("If-None-Match: {tag}\r\n"), "").await.status, 304);
    for file in hezar_page::files().iter().filter(|file| file.path.starts_with("assets/")) {
        let answer = api.ask("GET", &format!("/{}", file.path), "Accept-Encoding: gzip\r\n", "").await;
        assert_eq!((answer.status, answer.header("content-encoding")), (200, "gzip"), "{}", file.path);
        assert!(answer.header("cache-control").contains("immutable"), "{}", answer.head);
    }
    api.end().await;
}

#[tokio::test]
async fn a_listener_is_tested() {
    let (status, body) = ask(&request("POST", "/api/v1/test", r#"{"url":"http://example.test/"}"#)).await;
    assert!(status == 200 && body.contains(r#""works":true"#), "{body}");
    assert_eq!(ask(&request("POST", "/api/v1/test", r#"{"colour":"red"}"#)).await.0, 400);
}
