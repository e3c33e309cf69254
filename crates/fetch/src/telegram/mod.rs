//! Fetches the web preview of a public Telegram channel: newest messages first, older pages by `before`.

pub(crate) mod html;

use bytes::Bytes;
use url::Url;

use crate::{
    Document, Documents, FailedDocument, FetchConfig, FetchError, Fetched, SourceSpec, Validators,
    document::digest,
    web::{WebClient, WebRequest},
};

/// The longest page that is read, in bytes.
const MAX_PAGE_BYTES: u64 = 4 * 1024 * 1024;

/// Reads up to `pages` pages; all texts together are one document.
pub(crate) async fn fetch(
    config: &FetchConfig,
    spec: &SourceSpec,
    channel: &str,
    pages: u32,
    web: &WebClient<'_>,
    validators: &Validators,
) -> Result<Fetched, FetchError> {
    let name = channel_name(channel)?;
    let mut url = config.telegram.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["s", name]);
    }
    let mut text = String::new();
    let mut oldest: Option<u64> = None;
    let mut failed = Vec::new();
    for number in 0..pages.clamp(1, SourceSpec::MAX_PAGES) {
        let page = match fetch_page(config, spec, web, &mut url, oldest).await {
            Ok(page) => page,
            Err(error) if number == 0 => return Err(error),
            Err(error) => {
                let name = format!("{name}?before={}", oldest.unwrap_or_default()).into();
                failed.push(FailedDocument { name, code: error.code(), reason: error.to_string().into() });
                break;
            }
        };
        text.push_str(&page.text);
        if text.len() as u64 > spec.max_bytes {
            return Err(FetchError::TooLarge { limit: spec.max_bytes });
        }
        // A page that does not lead further back is the last, whatever the server means by it.
        match page.oldest.filter(|id| *id > 1 && oldest.is_none_or(|before| *id < before)) {
            Some(id) => oldest = Some(id),
            None => break,
        }
    }
    if text.trim().is_empty() {
        return Err(FetchError::NoMessages { channel: name.into() });
    }
    let mut now = Validators::for_subject(&(url.path(), pages));
    // Messages are edited: only the text itself says whether something is new.
    now.documents.insert(name.to_owned(), format!("{:016x}", digest(&text)));
    if *validators == now && failed.is_empty() {
        return Ok(Fetched::NotModified);
    }
    let documents = vec![Document { name: name.into(), bytes: Bytes::from(text) }];
    Ok(Fetched::Documents(Documents { documents, failed, validators: now, ..Documents::default() }))
}

async fn fetch_page(
    config: &FetchConfig,
    spec: &SourceSpec,
    web: &WebClient<'_>,
    url: &mut Url,
    before: Option<u64>,
) -> Result<html::ChannelPage, FetchError> {
    url.set_query(before.map(|id| format!("before={id}")).as_deref());
    let request = WebRequest::new(url, config.user_agent(spec), MAX_PAGE_BYTES);
    let body = web.get(&request).await?.map(|answer| answer.body).unwrap_or_default();
    Ok(html::read_page(&String::from_utf8_lossy(&body)))
}

/// The bare name: letters, digits and `_`.
fn channel_name(channel: &str) -> Result<&str, FetchError> {
    let bare = channel.trim().trim_end_matches('/');
    let bare = ["https://", "http://"].iter().find_map(|scheme| bare.strip_prefix(scheme)).unwrap_or(bare);
    let bare = ["t.me/", "telegram.me/"].iter().find_map(|host| bare.strip_prefix(host)).unwrap_or(bare);
    let bare = bare.strip_prefix("s/").unwrap_or(bare);
    let bare = bare.strip_prefix('@').unwrap_or(bare);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !(1..=64).contains(&bare.len()) || !bare.bytes().all(allowed) {
        return Err(FetchError::Name { name: channel.into(), what: "public Telegram channel" });
    }
    Ok(bare)
}
