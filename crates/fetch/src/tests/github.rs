//! A GitHub of our own: its API and its raw files.

use std::sync::{Arc, Mutex};

use hezar_core::Secret;

use super::site::{NOW, Seen, Site, answer, ok};
use crate::{Fetched, SourceKind, SourceSpec, Validators};

/// Path, hash, content.
type Files = Vec<(String, String, String)>;

fn files(list: &[(&str, &str, &str)]) -> Arc<Mutex<Files>> {
    let owned = list.iter().map(|(path, sha, text)| ((*path).to_owned(), (*sha).to_owned(), (*text).to_owned()));
    Arc::new(Mutex::new(owned.collect()))
}

async fn github(files: &Arc<Mutex<Files>>) -> Site {
    let files = Arc::clone(files);
    Site::new(move |seen| {
        let files = files.lock().unwrap();
        match (seen.header("host"), seen.path.as_str()) {
            (Some("api.github.test"), "/repos/some/lists") => ok(r#"{"default_branch":"main","id":1}"#),
            (Some("api.github.test"), "/repos/some/lists/git/trees/main?recursive=1") => tree(&files, seen),
            (Some("raw.github.test"), path) => raw(&files, path.strip_prefix("/some/lists/main/").unwrap_or_default()),
            _ => answer(404, &[], r#"{"message":"Not Found"}"#),
        }
    })
    .await
}

fn tree(files: &Files, seen: &Seen) -> super::site::Answer {
    let etag = format!("\"{:x}\"", crate::document::digest(files));
    if seen.header("if-none-match") == Some(&etag) {
        return answer(304, &[], "");
    }
    let mut entries = vec![r#"{"path":"sub","mode":"040000","type":"tree","sha":"t1"}"#.to_owned()];
    entries.extend(files.iter().map(|(path, sha, text)| {
        format!(r#"{{"path":"{path}","mode":"100644","type":"blob","sha":"{sha}","size":{}}}"#, text.len())
    }));
    let body = format!(r#"{{"sha":"x","tree":[{}],"truncated":false}}"#, entries.join(","));
    answer(200, &[("etag", &etag)], body)
}

fn raw(files: &Files, path: &str) -> super::site::Answer {
    let path = path.replace("%20", " ");
    match files.iter().find(|(name, _, _)| *name == path) {
        Some((_, _, text)) if text.starts_with("stale") => ok("old content"),
        Some((_, _, text)) if text == "gone" => answer(404, &[], ""),
        Some((_, _, text)) => ok(text.clone()),
        None => answer(404, &[], ""),
    }
}

fn spec(patterns: &[&str]) -> SourceSpec {
    let patterns = patterns.iter().map(|pattern| (*pattern).into()).collect();
    let token = Some(Secret::new("t0ken"));
    SourceSpec::new("mine", SourceKind::GitHub { repository: "some/lists".into(), reference: None, patterns, token })
}

#[tokio::test]
async fn only_changed_files_are_fetched_again() {
    let all = files(&[("a.txt", "1", "ss://a"), ("sub/b c.txt", "2", "ss://b"), ("README.md", "3", "no")]);
    let site = github(&all).await;
    let first = site.documents(&spec(&[]), &Validators::default()).await;
    assert!(first.is_complete());
    let names: Vec<&str> = first.documents.iter().map(|document| &*document.name).collect();
    assert_eq!(names, ["a.txt", "sub/b c.txt"]);
    assert!(site.seen().iter().all(|seen| seen.has("authorization: Bearer t0ken")));

    let kept = Validators::from_text(&first.validators.to_text());
    assert_eq!(site.fetch(&spec(&[]), &kept).await.unwrap(), Fetched::NotModified);
    assert_eq!(site.seen().len(), 2);

    *all.lock().unwrap() = files(&[("sub/b c.txt", "9", "ss://b2"), ("n.txt", "4", "ss://n")]).lock().unwrap().clone();
    all.lock().unwrap().push(("x.txt".into(), "5".into(), "ss://x".into()));
    let second = site.documents(&spec(&[]), &kept).await;
    assert_eq!((second.documents.len(), second.unchanged.len(), &*second.removed), (3, 0, &["a.txt".into()][..]));
    let third = files(&[("sub/b c.txt", "9", "ss://b2"), ("n.txt", "7", "ss://N")]).lock().unwrap().clone();
    *all.lock().unwrap() = third;
    site.seen();
    let third = site.documents(&spec(&[]), &second.validators).await;
    assert_eq!(
        (third.documents.len(), &*third.unchanged, &*third.removed),
        (1, &["sub/b c.txt".into()][..], &["x.txt".into()][..])
    );
    assert_eq!(site.seen().iter().filter(|seen| seen.has("host: raw.github.test")).count(), 1);
}

#[tokio::test]
async fn patterns_choose_by_path_or_by_name() {
    let all = files(&[("a.txt", "1", "A"), ("sub/b.txt", "2", "B"), ("sub/deep/c.txt", "3", "C"), ("sub/d", "4", "D")]);
    let site = github(&all).await;
    for (patterns, expected) in [
        (&["sub/*"][..], &["sub/b.txt", "sub/d"][..]),
        (&["sub/**/*.txt"], &["sub/b.txt", "sub/deep/c.txt"]),
        (&["/a.txt", "d"], &["sub/d"]),
        (&["[ab].txt"], &["a.txt", "sub/b.txt"]),
    ] {
        let found = site.documents(&spec(patterns), &Validators::default()).await;
        let names: Vec<&str> = found.documents.iter().map(|document| &*document.name).collect();
        let expected: Vec<&str> = if patterns[0] == "/a.txt" { vec!["a.txt", "sub/d"] } else { expected.to_vec() };
        assert_eq!(names, expected, "{patterns:?}");
    }
    assert_eq!(site.failure(&spec(&["*.yaml"])).await.code(), "no-file");
    assert_eq!(site.failure(&spec(&["a***"])).await.code(), "bad-pattern");
}

#[tokio::test]
async fn failed_and_stale_files_are_asked_for_again() {
    let all = files(&[("a.txt", "1", "ss://a"), ("b.txt", "2", "gone"), ("c.txt", "3", "stale, of another length")]);
    let site = github(&all).await;
    let first = site.documents(&spec(&[]), &Validators::default()).await;
    assert_eq!((first.documents.len(), first.failed.len(), first.failed[0].code), (2, 1, "http-status"));
    assert!(!first.is_complete());
    all.lock().unwrap()[1].2 = "ss://b".into();
    all.lock().unwrap()[2].2 = "ss://c".into();
    let second = site.documents(&spec(&[]), &first.validators).await;
    assert_eq!((second.documents.len(), &*second.unchanged), (2, &["a.txt".into()][..]));
}

#[tokio::test]
async fn sizes_and_counts_are_bounded() {
    let all = files(&[("a.txt", "1", "0123456789"), ("b.txt", "2", "ss://b"), ("c.txt", "3", "ss://c")]);
    let site = github(&all).await;
    let mut small = spec(&[]);
    (small.max_bytes, small.max_files) = (8, 1);
    let found = site.documents(&small, &Validators::default()).await;
    assert_eq!((found.documents.len(), &*found.documents[0].name, found.truncated), (1, "b.txt", true));
}

#[tokio::test]
async fn the_rate_limit_is_honoured() {
    let reset = (NOW.0 / 1000 + 1800).to_string();
    let site = Site::new(move |_| {
        answer(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)], r#"{"message":"API rate limit"}"#)
    })
    .await;
    let error = site.failure(&spec(&[])).await;
    assert_eq!((error.code(), error.retry_at()), ("rate-limited", Some(hezar_core::Timestamp(NOW.0 + 1_800_000))));
}

#[tokio::test]
async fn odd_answers_and_names_are_errors() {
    for body in ["", "<html>", "{}", r#"{"default_branch":""}"#] {
        let site = Site::new(move |_| ok(body)).await;
        assert_eq!(site.failure(&spec(&[])).await.code(), "bad-api-answer", "{body}");
    }
    let site = Site::new(|_| ok("")).await;
    for name in ["", "lists", "../..", "a/b/c", "a b/c"] {
        let kind = SourceKind::GitHub { repository: name.into(), reference: None, patterns: vec![], token: None };
        assert_eq!(site.failure(&SourceSpec::new("mine", kind)).await.code(), "bad-name", "{name}");
    }
    assert!(site.seen().is_empty());
}

#[tokio::test]
async fn a_branch_with_a_slash_is_one_name() {
    let site = Site::new(|seen| match seen.path.as_str() {
        "/repos/some/lists/git/trees/feature%2Fx?recursive=1" => {
            ok(r#"{"tree":[{"path":"a.txt","type":"blob","sha":"1","size":1}],"truncated":true}"#)
        }
        "/some/lists/feature/x/a.txt" => ok("A"),
        _ => answer(404, &[], ""),
    })
    .await;
    let reference = Some("feature/x".into());
    let repository = "https://github.com/some/lists.git".into();
    let kind = SourceKind::GitHub { repository, reference, patterns: vec![], token: None };
    let found = site.documents(&SourceSpec::new("mine", kind), &Validators::default()).await;
    assert!(found.truncated && found.documents.len() == 1);
}
