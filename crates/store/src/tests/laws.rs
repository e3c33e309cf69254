//! Laws: a store is a map, and gathering changes does not alter what they do.

use hezar_core::Timestamp;
use proptest::prelude::*;

use super::{
    model::{Model, change, sorted},
    place::Place,
};
use crate::{Change, HistoryStep, writer::pending::Pending};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_changes_leave_what_a_map_would_in_sqlite(batches in batches()) {
        leaves_what_a_map_would(&Place::sqlite(), &batches)?;
    }
}

proptest! {
    // A new database costs a tenth of a second.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_changes_leave_what_a_map_would_in_postgresql(batches in batches()) {
        if let Some(place) = Place::postgres("any_changes_leave_what_a_map_would_in_postgresql") {
            leaves_what_a_map_would(&place, &batches)?;
        }
    }
}

fn batches() -> impl Strategy<Value = Vec<Vec<Change>>> {
    proptest::collection::vec(proptest::collection::vec(change(), 0..20), 1..4)
}

fn leaves_what_a_map_would(place: &Place, batches: &[Vec<Change>]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = place.open().await;
        let mut model = Model::of(place);
        for batch in batches {
            store.write(batch).await.unwrap();
            batch.iter().for_each(|change| model.apply(change));
        }
        prop_assert_eq!(sorted(store.load().await.unwrap()), model.state());
        for step in HistoryStep::ALL {
            let (from, to) = (Timestamp(120_000), Timestamp(540_000));
            prop_assert_eq!(store.history(step, from, to).await.unwrap(), model.history(step, from, to));
        }
        store.close().await;
        Ok(())
    })
}

proptest! {
    #[test]
    fn gathered_changes_do_what_all_of_them_would(
        before in proptest::collection::vec(change(), 0..30),
        after in proptest::collection::vec(change(), 0..60),
    ) {
        let mut model = Model::default();
        before.iter().for_each(|change| model.apply(change));
        let mut gathered = model.clone();
        let mut pending = Pending::default();
        for change in after {
            model.apply(&change);
            pending.add(change);
        }
        let changes = pending.take();
        let nodes = changes.iter().filter(|change| matches!(change, Change::PutNode(_) | Change::PutRecord(..))).count();
        prop_assert!(nodes <= 12);
        changes.iter().for_each(|change| gathered.apply(change));
        prop_assert_eq!(gathered.state(), model.state());
        for step in HistoryStep::ALL {
            let all = |model: &Model| model.history(step, Timestamp(0), Timestamp(u64::MAX));
            prop_assert_eq!(all(&gathered), all(&model));
        }
    }
}
