//! Objects, tokens and the record of changes: what is confirmed stays, and nothing grows without a bound.

use hezar_core::Timestamp;

use super::place::Place;
use crate::{AuditQuery, AuditRow, ControlChange, ControlContents, MOST_AUDIT_ROWS, ObjectRow, StoreError, TokenRow};

fn object(name: &str, value: &str) -> ObjectRow {
    ObjectRow { kind: "source".into(), name: name.into(), value: value.into(), changed: Timestamp(7) }
}

fn token(name: &str) -> TokenRow {
    let hash = format!("hash of {name}").into();
    TokenRow { name: name.into(), hash, scope: "read".into(), created: Timestamp(1), last_used: None }
}

fn line(number: u64) -> AuditRow {
    AuditRow {
        id: 0,
        at: Timestamp(number),
        who: if number.is_multiple_of(2) { "admin" } else { "bob" }.into(),
        via: "api".into(),
        action: "change".into(),
        kind: "source".into(),
        name: format!("source {number} 'q'").into(),
        old: None,
        new: Some("{}".into()),
    }
}

#[tokio::test]
async fn what_was_confirmed_is_there_after_a_restart() {
    for place in Place::all("what_was_confirmed_is_there_after_a_restart") {
        let store = place.open().await;
        assert_eq!(store.load_control().await.unwrap(), ControlContents::default());
        let changes = [
            ControlChange::PutObject(object("b", "1")),
            ControlChange::PutObject(object("a", "{\"url\":\"https://a.test/'\"}")),
            ControlChange::PutObject(object("b", "2")),
            ControlChange::PutToken(token("one")),
            ControlChange::PutToken(token("two")),
            ControlChange::TokensUsed(vec![("two".into(), Timestamp(9)), ("nobody".into(), Timestamp(9))]),
        ];
        store.write_control(&changes).await.unwrap();
        let gone = [
            ControlChange::RemoveObject { kind: "source".into(), name: "a".into() },
            ControlChange::RemoveObject { kind: "listener".into(), name: "b".into() },
            ControlChange::RemoveToken("one".into()),
        ];
        store.write_control(&gone).await.unwrap();
        // As after a power cut: nothing is closed in order, another connection reads the file.
        let other = place.open_for_reading().await;
        let expected = ControlContents {
            objects: vec![object("b", "2")],
            tokens: vec![TokenRow { last_used: Some(Timestamp(9)), ..token("two") }],
        };
        assert_eq!(other.load_control().await.unwrap(), expected);
        let refused = other.write_control(&[ControlChange::RemoveToken("two".into())]).await;
        assert!(matches!(refused, Err(StoreError::ReadOnly { .. })), "{refused:?}");
        other.close().await;
        store.close().await;
    }
}

#[tokio::test]
async fn of_a_batch_that_fails_nothing_stays() {
    for place in Place::all("of_a_batch_that_fails_nothing_stays") {
        let store = place.open().await;
        let same_hash = TokenRow { name: "other".into(), ..token("one") };
        let changes = [
            ControlChange::PutObject(object("a", "1")),
            ControlChange::PutToken(token("one")),
            ControlChange::PutToken(same_hash),
        ];
        assert!(store.write_control(&changes).await.is_err());
        assert_eq!(store.load_control().await.unwrap(), ControlContents::default());
        store.write_control(&changes[..2]).await.unwrap();
        assert_eq!(store.load_control().await.unwrap().tokens, [token("one")]);
        store.close().await;
    }
}

#[tokio::test]
async fn the_record_is_read_backwards_and_bounded() {
    for place in Place::all("the_record_is_read_backwards_and_bounded") {
        let store = place.open().await;
        let most = u64::try_from(MOST_AUDIT_ROWS).unwrap();
        let lines: Vec<ControlChange> = (0..most + 5).map(|number| ControlChange::Audit(line(number))).collect();
        store.write_control(&lines).await.unwrap();
        let all = store.audit(&AuditQuery { limit: u32::MAX, ..AuditQuery::default() }).await.unwrap();
        assert_eq!((all.len() as u64, all[0].at, all.last().unwrap().at), (most, Timestamp(most + 4), Timestamp(5)));
        let page = AuditQuery { before: Some(all[1].id), limit: 2, ..AuditQuery::default() };
        assert_eq!(store.audit(&page).await.unwrap(), all[2..4]);
        let of_bob = AuditQuery { who: Some("bob".into()), limit: 3, ..AuditQuery::default() };
        assert!(store.audit(&of_bob).await.unwrap().iter().all(|line| &*line.who == "bob"));
        let named = AuditQuery {
            kind: Some("source".into()),
            name: Some("source 9 'q'".into()),
            limit: 9,
            ..AuditQuery::default()
        };
        assert_eq!(store.audit(&named).await.unwrap().len(), 1);
        let none = AuditQuery { kind: Some("user".into()), limit: 9, ..AuditQuery::default() };
        assert_eq!(store.audit(&none).await.unwrap(), []);
        store.close().await;
    }
}
