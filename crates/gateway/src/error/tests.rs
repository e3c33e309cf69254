//! Causes are read out of wrapped errors, and each refusal says the same in every protocol.

use std::{collections::HashSet, io};

use hezar_accept::HeaderError;
use hezar_core::{Fault, Stage};
use hezar_engine::{
    Cause,
    server::{RequestRefusal, StrangerReason},
};

use super::{AttemptError, OptionError, QuotaPeriod, Refusal};

#[test]
fn a_cause_is_found_inside_an_io_error() {
    let error = io::Error::other(Cause::Authentication);
    let fail = AttemptError::from_stream(Stage::Exchange, &error);
    assert_eq!((fail.code.as_str(), fail.fault, fail.sure), ("authentication", Fault::Node, true));
    let fail = AttemptError::from_stream(Stage::Exchange, &io::Error::from(io::ErrorKind::ConnectionReset));
    assert_eq!((fail.code.as_str(), fail.sure), ("reset", false));
    let fail = AttemptError::from_stream(Stage::Exchange, &io::Error::other("what"));
    assert_eq!((fail.code.as_str(), fail.sure), ("io", false));
}

#[test]
fn a_cause_without_a_route_keeps_its_meaning_in_every_protocol() {
    let error = AttemptError::new(Stage::Connect, &Cause::NoRoute, true);
    assert_eq!((error.proxy_error(), error.socks5_reply()), ("destination_ip_unroutable", 3));
}

/// One refusal of every kind, except that which passes on the code of an attempt.
fn every_refusal() -> Vec<Refusal> {
    let last = AttemptError::new(Stage::Connect, &Cause::Refused, true);
    vec![
        Refusal::PoolEmpty { why: Some("the uplink is down".into()) },
        Refusal::NoMatch,
        Refusal::NoDatagrams,
        Refusal::NoOnion,
        Refusal::NotCarried,
        Refusal::OnlyTransparent,
        Refusal::AllFailed { attempts: 3, last },
        Refusal::Deadline { attempts: 2 },
        Refusal::AuthMissing,
        Refusal::AuthWrong,
        Refusal::BadOption(OptionError::Country),
        Refusal::BadRequest("the request is malformed"),
        Refusal::NotProxied,
        Refusal::HeaderTooLarge,
        Refusal::ClientTimeout,
        Refusal::ClientGone,
        Refusal::Http2,
        Refusal::TlsOnPlainPort,
        Refusal::PlainOnTlsPort,
        Refusal::TlsHandshake(io::Error::other("no cipher in common").into()),
        Refusal::NoCertificate,
        Refusal::ProxyHeader(HeaderError::Absent),
        Refusal::UntrustedProxy,
        Refusal::UnsupportedCommand("BIND"),
        Refusal::BadSocks("unknown address type"),
        Refusal::Stranger(StrangerReason::Credential),
        Refusal::Replayed,
        Refusal::ClientClock,
        Refusal::BadInbound(io::Error::other("no cipher in common").into()),
        Refusal::ConnectionLimit,
        Refusal::UserLimit,
        Refusal::ClientLimit,
        Refusal::LoginLimit,
        Refusal::AssociationLimit,
        Refusal::UserDisabled,
        Refusal::UserExpired,
        Refusal::UserRemoved,
        Refusal::QuotaExceeded(QuotaPeriod::Month),
        Refusal::ClientDenied,
        Refusal::ListenerDenied,
        Refusal::CountryDenied,
        Refusal::PortDenied(25),
        Refusal::HostDenied,
        Refusal::PrivateDenied,
        Refusal::Ended,
        Refusal::ShuttingDown,
    ]
}

#[test]
fn each_refusal_has_a_documented_code_of_its_own() {
    let codes: Vec<_> = every_refusal().iter().map(Refusal::code).collect();
    let mut documented: HashSet<_> = Refusal::CODES.iter().map(|row| row.code).collect();
    assert_eq!(documented.len(), Refusal::CODES.len(), "no code has two rows");
    // A tunnel that was idle ends without a refusal.
    assert!(documented.remove("idle"));
    assert_eq!(codes.iter().copied().collect::<HashSet<_>>(), documented);
    assert_eq!(codes.iter().collect::<HashSet<_>>().len(), codes.len());
}

#[test]
fn what_is_not_allowed_is_not_allowed_in_every_protocol() {
    for refusal in every_refusal() {
        let status = refusal.status().as_u16();
        let forbidden = status == 403 || status == 407;
        assert_eq!(refusal.socks5_reply() == 2, forbidden, "{refusal}");
        assert_eq!(refusal.socks4_reply(), if status == 407 { 93 } else { 91 }, "{refusal}");
        assert_eq!(
            refusal.proxy_error() == "http_request_denied",
            forbidden || refusal.code() == "login-limit",
            "{refusal}"
        );
        assert_eq!(
            refusal.fault() == Fault::Client,
            status < 500 || matches!(status, 501 | 505) || refusal.code() == "ended"
        );
    }
}

#[test]
fn a_client_never_concludes_from_a_dead_node_that_the_site_is_down() {
    let of_target = [3, 4, 5];
    for refusal in every_refusal() {
        assert!(!of_target.contains(&refusal.socks5_reply()), "{refusal}");
    }
    let refused = AttemptError::new(Stage::Exchange, &Cause::TargetUnreachable("refused"), true);
    let target = Refusal::Target(refused.clone());
    assert_eq!((target.code(), target.fault()), (refused.code.as_str(), Fault::Target));
    assert!(of_target.contains(&target.socks5_reply()));
    assert_eq!(target.proxy_error(), refused.proxy_error());
}

#[test]
fn texts_name_the_cause_where_it_is_known() {
    let why = Refusal::PoolEmpty { why: Some("the uplink is down".into()) }.to_string();
    assert!(why.ends_with(": the uplink is down"), "{why}");
    assert!(Refusal::PoolEmpty { why: None }.to_string().ends_with("nothing is ever sent directly"));
    assert!(Refusal::QuotaExceeded(QuotaPeriod::Total).to_string().contains("whole time"));
    let text = Refusal::AllFailed { attempts: 3, last: AttemptError::new(Stage::Connect, &Cause::Refused, true) };
    assert!(text.to_string().starts_with("all 3 upstream proxies"), "{text}");
}

#[test]
fn each_kind_of_stranger_has_its_code() {
    let code = |why: StrangerReason| Refusal::from(why).code();
    assert_eq!(code(StrangerReason::Credential), "stranger");
    assert_eq!(code(StrangerReason::Protocol), "stranger");
    assert_eq!(code(StrangerReason::TooShort), "stranger");
    assert_eq!(code(StrangerReason::Replayed), "replayed");
    assert_eq!(code(StrangerReason::Clock), "client-clock");
    assert_eq!(code(StrangerReason::Command("mux.cool")), "unsupported-command");
}

#[test]
fn what_a_client_of_an_encrypted_inbound_is_told() {
    assert_eq!(Refusal::UserDisabled.request_refusal(), RequestRefusal::Forbidden);
    assert_eq!(Refusal::PortDenied(25).request_refusal(), RequestRefusal::Forbidden);
    assert_eq!(Refusal::UserLimit.request_refusal(), RequestRefusal::Busy);
    assert_eq!(Refusal::NoMatch.request_refusal(), RequestRefusal::Failed);
    let fail = AttemptError::new(Stage::Handshake, &Cause::TargetUnreachable("host unreachable"), true);
    assert_eq!(Refusal::Target(fail).request_refusal(), RequestRefusal::Unreachable);
}
