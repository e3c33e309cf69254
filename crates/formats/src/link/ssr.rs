//! `ssr://base64url(host:port:protocol:method:obfs:base64url(password)/?obfsparam=…&protoparam=…&remarks=…)`.

use hezar_core::{Label, NodeSpec, ShadowsocksR, Target};

use super::Named;
use crate::{
    RejectCode, field,
    outbound::ShadowsocksRText,
    uri::{self, query::Query, unescape},
};

pub(super) fn read(body: &str) -> Result<Named, RejectCode> {
    let (blob, fragment) = body.split_once('#').unwrap_or((body, ""));
    // Some publishers leave the whole body in clear text.
    let text = match field::base64_text(&unescape(blob)).filter(|text| text.contains(':')) {
        Some(text) => text,
        None if blob.matches(':').count() >= 5 => blob.to_owned(),
        None => return Err(RejectCode::BadEncoding),
    };
    let (main, query) = text.split_once('?').unwrap_or((&text, ""));
    let main = main.trim_end_matches('/');
    // An IPv6 host holds colons of its own, so the fields are counted from the right.
    let mut fields = main.rsplitn(6, ':');
    let mut next = || fields.next().ok_or(RejectCode::BadEncoding);
    let (password, obfs, method) = (next()?, next()?, next()?);
    let (protocol, port, host) = (next()?, next()?, next()?);
    let server = uri::server(host, port)?;
    let query = Query::parse(query);
    let param = |name: &str| decode(query.get(&[name]));
    let name = param("remarks");
    let label = if name.is_empty() { uri::label(fragment) } else { Label::new(&name) };
    let ssr = ShadowsocksRText {
        method,
        password: &decode(password),
        protocol,
        protocol_param: &param("protoparam"),
        obfs,
        obfs_param: &param("obfsparam"),
    };
    Ok((NodeSpec::new(server, ssr.outbound()?), label))
}

/// Decodes base64 whose padding may be percent-encoded. Text that is not base64 is taken as it is.
fn decode(text: &str) -> String {
    let text = unescape(text);
    field::base64_text(&text).unwrap_or_else(|| text.into_owned())
}

pub(super) fn write(ssr: &ShadowsocksR, server: &Target, label: &Label) -> String {
    let encode = |text: &str| field::base64_url(text);
    let mut text = format!(
        "{server}:{}:{}:{}:{}/?obfsparam={}&protoparam={}",
        ssr.protocol,
        ssr.method,
        ssr.obfs,
        encode(ssr.password.expose()),
        encode(&ssr.obfs_param),
        encode(&ssr.protocol_param)
    );
    if !label.is_empty() {
        text.push_str("&remarks=");
        text.push_str(&encode(label.as_str()));
    }
    format!("ssr://{}", encode(&text))
}
