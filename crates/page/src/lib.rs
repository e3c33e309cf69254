//! The files of the web page, compressed, as this build of the program embeds them.

use std::io::Read;

use flate2::read::GzDecoder;

mod embedded {
    use super::PageFile;

    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// One file of the page.
#[derive(Clone, Copy, Debug)]
pub struct PageFile {
    /// Its path below the page's root, without a leading slash.
    pub path: &'static str,
    /// The value of its `Content-Type` header.
    pub content_type: &'static str,
    /// A text that changes with its content, for an `ETag` header (without the quotes).
    pub tag: &'static str,
    /// Its content, compressed with gzip (RFC 1952).
    pub gzip: &'static [u8],
}

impl PageFile {
    /// Its content without compression, for the few clients that do not accept gzip.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        let mut content = Vec::new();
        // Our own build has compressed it, so that reading cannot fail half-way.
        let _ = GzDecoder::new(self.gzip).read_to_end(&mut content);
        content
    }
}

/// Every file of the page; none where the build has no page.
#[must_use]
pub const fn files() -> &'static [PageFile] {
    embedded::FILES
}

/// The file at this path below the page's root.
#[must_use]
pub fn find(path: &str) -> Option<&'static PageFile> {
    files().iter().find(|file| file.path == path)
}

/// Why this build has no page; `None` where it has one.
#[must_use]
pub const fn missing() -> Option<&'static str> {
    embedded::MISSING
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most bytes that the page may take compressed, all files together.
    const MOST: usize = 250 << 10;

    #[test]
    fn the_page_is_whole_and_small_or_says_why_it_is_not_there() {
        let Some(index) = find("index.html") else {
            return assert!(missing().is_some_and(|reason| !reason.is_empty()) && files().is_empty());
        };
        assert_eq!(missing(), None);
        let text = String::from_utf8(index.content()).unwrap();
        for file in files().iter().filter(|file| file.path.ends_with(".css")) {
            assert!(text.contains(file.path), "{} is not linked", file.path);
        }
        let bytes: usize = files().iter().map(|file| file.gzip.len()).sum();
        assert!(bytes <= MOST, "{bytes} bytes compressed");
    }
}
