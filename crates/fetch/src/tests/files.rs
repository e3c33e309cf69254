//! Files and patterns.

use std::{fs, path::Path, time::Duration};

use hezar_engine::TlsClients;

use super::{
    content::compress,
    site::{NOW, Site, ok},
};
use crate::{Documents, FetchConfig, FetchError, FetchMetrics, Fetched, Fetcher, SourceKind, SourceSpec, Validators};

fn spec(pattern: &str) -> SourceSpec {
    SourceSpec::new("mine", SourceKind::File(pattern.into()))
}

async fn fetch(directory: &Path, spec: &SourceSpec, before: &Validators) -> Result<Fetched, FetchError> {
    let site = Site::new(|_| ok("")).await;
    let config =
        FetchConfig { directory: directory.to_owned(), total: Duration::from_secs(60), ..FetchConfig::default() };
    Fetcher::new(config, TlsClients::new(&[]), FetchMetrics::default()).fetch(spec, &site, before, NOW).await
}

async fn documents(directory: &Path, spec: &SourceSpec, before: &Validators) -> Documents {
    match fetch(directory, spec, before).await.unwrap() {
        Fetched::Documents(documents) => documents,
        Fetched::NotModified => panic!("not modified"),
    }
}

#[tokio::test]
async fn a_compressed_file_is_read_and_a_damaged_one_fails_alone() {
    let directory = tempfile::tempdir().unwrap();
    let packed = compress("gzip", b"192.0.2.1:1080").await;
    fs::write(directory.path().join("a.txt.gz"), &packed).unwrap();
    let alone = documents(directory.path(), &spec("a.txt.gz"), &Validators::default()).await;
    assert_eq!(alone.documents[0].bytes, "192.0.2.1:1080");
    fs::write(directory.path().join("b.txt.gz"), &packed[..packed.len() - 12]).unwrap();
    let both = documents(directory.path(), &spec("*.gz"), &Validators::default()).await;
    assert_eq!((both.documents.len(), both.failed.len(), both.failed[0].code), (1, 1, "source-encoding"));
    // What failed is read again at the next fetch.
    let again = documents(directory.path(), &spec("*.gz"), &both.validators).await;
    assert_eq!((again.unchanged.len(), again.failed.len()), (1, 1));
    let error = fetch(directory.path(), &spec("b.txt.gz"), &Validators::default()).await.unwrap_err();
    assert_eq!(error.code(), "source-encoding");
}

#[tokio::test]
async fn a_file_is_read_once_until_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("socks5[1].txt");
    fs::write(&file, "192.0.2.1:1080").unwrap();
    let spec = spec("socks5[1].txt");
    let found = documents(directory.path(), &spec, &Validators::default()).await;
    assert!(found.documents[0].name.ends_with("socks5[1].txt"));
    assert_eq!(found.documents[0].bytes, "192.0.2.1:1080");
    assert_eq!(fetch(directory.path(), &spec, &found.validators).await.unwrap(), Fetched::NotModified);
    fs::write(&file, "192.0.2.1:1080\n192.0.2.2:1080").unwrap();
    assert_eq!(documents(directory.path(), &spec, &found.validators).await.bytes(), 29);
}

#[tokio::test]
async fn a_pattern_tells_new_from_old_and_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir_all(path("sub/dir.txt")).unwrap();
    for name in ["a.txt", "b.txt", "sub/c.txt", "d.md"] {
        fs::write(path(name), name).unwrap();
    }
    let spec = spec("**/*.txt");
    let first = documents(directory.path(), &spec, &Validators::default()).await;
    assert_eq!(first.documents.len(), 3);
    fs::write(path("a.txt"), "changed it").unwrap();
    fs::remove_file(path("b.txt")).unwrap();
    let second = documents(directory.path(), &spec, &first.validators).await;
    assert_eq!((second.documents.len(), second.unchanged.len(), second.removed.len()), (1, 1, 1));
    assert!(second.removed[0].ends_with("b.txt") && !second.is_complete());
    let mut few = spec.clone();
    few.max_files = 1;
    let few = documents(directory.path(), &few, &Validators::default()).await;
    assert!(few.truncated && few.documents.len() == 1);
}

#[tokio::test]
async fn one_bad_file_among_others_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.txt"), vec![b'x'; 2000]).unwrap();
    fs::write(directory.path().join("b.txt"), "ss://").unwrap();
    let mut spec = spec("*.txt");
    spec.max_bytes = 1000;
    let found = documents(directory.path(), &spec, &Validators::default()).await;
    assert_eq!((found.documents.len(), found.failed.len(), found.failed[0].code), (1, 1, "too-large"));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    for (pattern, code) in
        [("absent.txt", "file"), ("*.txt", "no-file"), ("a***b", "bad-pattern"), (".", "file"), ("/dev/zero", "file")]
    {
        let error = fetch(directory.path(), &spec(pattern), &Validators::default()).await.unwrap_err();
        assert_eq!(error.code(), code, "{pattern}: {error}");
    }
}
