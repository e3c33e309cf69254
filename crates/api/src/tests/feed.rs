//! The feed for other instances, as one of them reads it.

use super::{ask, request};
use crate::*;

#[tokio::test]
async fn a_feed_is_lines_and_its_token_reads_nothing_else() {
    let with = |token: &str, path: &str| request("GET", path, "").replace("secret", token);
    let (status, body) = ask(&with("hz_feed", "/api/v1/feed?after=ab-1")).await;
    let lines: Vec<FeedLineDto> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [FeedLineDto::Head(head), FeedLineDto::Node(works), FeedLineDto::Node(gone)] = &lines[..] else {
        panic!("{status} {body}");
    };
    assert_eq!((status, head.whole, head.cursor.as_str()), (200, false, "ab-2"));
    assert_eq!((works.link.is_some(), works.age_ms, gone.link.is_some()), (true, Some(7), false));
    let changed = async |path: &str| {
        let (status, body) = ask(&with("hz_feed", path)).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<FeedChangesDto>(&body).unwrap().changed
    };
    assert!(changed("/api/v1/feed/changes?after=ab-1").await && changed("/api/v1/feed/changes").await);
    // No answer waits longer than it may, whatever is asked for.
    assert!(!changed("/api/v1/feed/changes?after=ab-2&wait=99999").await);
    assert_eq!(ask(&with("hz_feed", "/api/v1/nodes")).await.0, 403);
    for scope in ["hz_read", "hz_feedback", "hz_subscription"] {
        assert_eq!(ask(&with(scope, "/api/v1/feed")).await.0, 403, "{scope}");
        assert_eq!(ask(&with(scope, "/api/v1/feed/changes")).await.0, 403, "{scope}");
    }
    assert_eq!(ask(&request("GET", "/api/v1/feed?colour=red", "")).await.0, 400);
}
