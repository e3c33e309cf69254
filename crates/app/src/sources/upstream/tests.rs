//! What is taken from the feed of another instance, and what is asked for next.

use hezar_api::FeedQuery;
use hezar_engine::Clock;
use hezar_formats::RejectCode;
use hezar_pool::{Origin, Outcome, PoolChange, Rules};

use super::*;
use crate::{feed::NodeFeed, feed_name::MOST_VIA, nodes::Nodes};

const US: &str = "00000000000000000000000000000000";
const THEY: &str = "11111111111111111111111111111111";
const THIRD: &str = "22222222222222222222222222222222";
const NOW: Timestamp = Timestamp(1_000_000);

fn head(whole: bool) -> String {
    format!("{{\"instance\":\"{THEY}\",\"cursor\":\"a-7\",\"whole\":{whole},\"from_reader\":0}}\n")
}

fn node(number: u8, more: &str) -> String {
    let id = id(number);
    format!("{{\"id\":\"{id}\",\"link\":\"socks5://11.0.0.{number}:1080#n{number}\"{more}}}\n")
}

fn id(number: u8) -> NodeId {
    hezar_formats::parse_link(&format!("socks5://11.0.0.{number}:1080")).unwrap().0.id()
}

fn read(text: &str) -> FeedContent {
    FeedContent::read(text.as_bytes(), US, NOW).unwrap()
}

#[test]
fn a_feed_is_read_with_what_is_known_of_its_nodes() {
    let first = ",\"age_ms\":5000,\"latency_ms\":80,\"exit_ip\":\"198.51.100.9\",\"country\":\"NL\"";
    let third = format!(",\"via\":[\"{THIRD}\"]");
    let gone = format!("{{\"id\":\"{}\"}}\n", id(9));
    let content = read(&(head(true) + &node(1, first) + &node(2, &third) + &gone));
    assert_eq!((content.told.len(), content.gone.clone(), content.rejects), (2, vec![id(9)], 0));
    let told = &content.told[0];
    assert_eq!((told.id, told.label.as_str()), (id(1), "n1"));
    assert_eq!((told.hearsay.last_ok, told.hearsay.latency), (Timestamp(995_000), Some(Duration::from_millis(80))));
    assert_eq!(told.hearsay.exit.unwrap().country, Some(*b"NL"));
    let upstream = Upstream::new(US.into());
    upstream.note(&content, NOW, |_| true);
    let via = |number| upstream.via(id(number)).map(|via| via.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(via(1), Some(vec![THEY.to_owned()]));
    assert_eq!(via(2), Some(vec![THEY.to_owned(), THIRD.to_owned()]));
    assert_eq!(via(9), None);
}

#[test]
fn what_came_from_us_is_not_taken_and_counted() {
    let ours = format!(",\"via\":[\"{THIRD}\",\"{US}\"]");
    let content = read(&(head(true) + &node(1, &ours)));
    assert!(content.is_loop() && content.told.is_empty() && content.from_us == 1);
    let content = read(&(head(true) + &node(1, &ours) + &node(2, "")));
    assert!(!content.is_loop() && content.told.len() == 1);
    // An instance without nodes is no loop.
    assert!(!read(&head(true)).is_loop());
    let own = head(true).replace(THEY, US);
    assert_eq!(FeedContent::read(own.as_bytes(), US, NOW).unwrap_err(), FeedFault::OurOwn);
}

#[test]
fn what_is_no_feed_is_refused_and_bad_lines_are_counted() {
    let long = head(true).replace("a-7", &"a".repeat(300));
    for text in
        ["", "\n", "socks5://11.0.0.1:1080", "<html>", "{}", "[1]", &node(1, ""), &head(true).replace(THEY, "x"), &long]
    {
        assert_eq!(FeedContent::read(text.as_bytes(), US, NOW).unwrap_err(), FeedFault::NotAFeed, "{text}");
    }
    let many: Vec<String> = (0..9).map(|_| format!("\"{THIRD}\"")).collect();
    let far = format!(",\"via\":[{}]", many.join(","));
    let lines = head(true)
        + "nonsense\n{}\n{\"id\":\"x\"}\n"
        + "{\"id\":\"aa\",\"link\":\"foreign://x\"}\n"
        + &node(1, ",\"via\":[\"x\"]")
        + &node(2, &far)
        + &node(3, "");
    let content = read(&lines);
    assert_eq!((content.told.len(), content.rejects), (1, 6));
    assert_eq!(content.first_reject, Some(RejectCode::NotALink));
    assert!(
        read(&(head(true) + &node(1, ",\"country\":\"??\",\"exit_ip\":\"nowhere\""))).told[0].hearsay.exit.is_none()
    );
}

#[test]
fn a_change_is_asked_for_until_it_is_time_to_ask_for_everything() {
    let (upstream, base) = (Upstream::new(US.into()), Url::parse("https://other.example/behind/").unwrap());
    let hour = Duration::from_secs(3600);
    let question = |now| upstream.question(&base, hour, now).expose().to_owned();
    let whole = format!("https://other.example/behind/api/v1/feed?reader={US}");
    assert_eq!(question(NOW), whole);
    upstream.note(&read(&(head(true) + &node(1, "") + &node(2, ""))), NOW, |_| true);
    assert_eq!(question(NOW.after(hour / 2)), format!("{whole}&after=a-7"));
    // Changes are no whole: the time goes on.
    let change = read(&(head(false) + &format!("{{\"id\":\"{}\"}}\n", id(1))));
    assert_eq!(upstream.left_by(&change), vec![id(1)]);
    upstream.note(&change, NOW.after(hour / 2), |_| true);
    assert_eq!((upstream.len(), upstream.via(id(1))), (1, None));
    assert_eq!(question(NOW.after(hour)), whole);
    // A whole answer leaves out what is gone.
    let rest = read(&(head(true) + &node(3, "")));
    assert_eq!(upstream.left_by(&rest), vec![id(2)]);
    upstream.note(&rest, NOW.after(hour), |_| true);
    assert_eq!(upstream.len(), 1);
    // What the pool has no room for is not remembered.
    upstream.note(&read(&(head(false) + &node(4, "") + &node(5, ""))), NOW.after(hour), |told| told == id(5));
    assert_eq!((upstream.len(), upstream.via(id(4))), (2, None));
}

#[test]
fn a_node_is_told_no_further_than_others_take_it() {
    let via = |number: usize| format!(",\"via\":[{}]", vec![format!("\"{THIRD}\""); number].join(","));
    let content = read(&(head(true) + &node(1, &via(MOST_VIA - 2)) + &node(2, &via(MOST_VIA - 1))));
    assert_eq!(content.told.len(), 2);
    let (upstreams, pool, clock) = (Upstreams::new(US.into()), Arc::new(Nodes::new(Rules::default())), Clock::start());
    let upstream = upstreams.unread();
    upstream.note(&content, NOW, |_| true);
    upstreams.set("up", Some(upstream));
    let nodes = content.told.iter().map(|told| (told.spec.clone(), told.label.clone())).collect();
    pool.apply(PoolChange::List { source: "up".into(), allow_private: false, nodes, complete: true }, clock.now());
    for number in [1, 2] {
        pool.report(id(number), &Outcome::success(Origin::Probe, Duration::from_millis(40)), clock.now());
    }
    let (_, told) = NodeFeed::new(US.into(), pool, clock, upstreams).answer(&FeedQuery::default());
    let told: Vec<_> = told.iter().map(|node| (node.id.clone(), node.via.len())).collect();
    assert_eq!(told, [(id(1).to_string(), MOST_VIA - 1)], "nobody takes the other one");
}
