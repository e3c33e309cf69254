//! Batches over a core that refuses some nodes.

use hyper::StatusCode;
use parking_lot::Mutex as SyncMutex;

use super::*;

/// The batches that were loaded, with their numbers.
type Loads = Vec<(usize, Vec<Arc<str>>)>;

/// A core that refuses every entry that begins with `bad`, and without a number where it says so.
#[derive(Default)]
struct Fake {
    loads: Arc<SyncMutex<Loads>>,
    is_mute: bool,
}

#[async_trait]
impl BatchLoader for Fake {
    async fn load(&self, number: usize, entries: &[Arc<str>]) -> Result<(), ControllerError> {
        let refused = entries.iter().position(|entry| entry.starts_with("bad"));
        match refused {
            None => {
                self.loads.lock().push((number, entries.to_vec()));
                Ok(())
            }
            Some(index) => Err(ControllerError::Refused {
                status: StatusCode::SERVICE_UNAVAILABLE,
                message: if self.is_mute { "no".to_owned() } else { format!("proxy {index} error: no") },
            }),
        }
    }
}

async fn loaded(fake: Fake, entries: &[&str]) -> Vec<bool> {
    let batches = Arc::new(Batches::new(fake, 500));
    let (running, stop) = (Arc::clone(&batches), CancellationToken::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { running.run(&stopped).await });
    let one = |(number, entry): (usize, &&str)| {
        let (batches, entry) = (Arc::clone(&batches), Arc::from(*entry));
        async move {
            let id = format!("{number:032x}").parse().unwrap();
            matches!(batches.load(id, entry).await, Loaded::In(_))
        }
    };
    let all = futures_util::future::join_all(entries.iter().enumerate().map(one)).await;
    stop.cancel();
    task.await.unwrap();
    all
}

#[tokio::test(start_paused = true)]
async fn nodes_that_a_core_refuses_do_not_harm_the_others() {
    let entries = ["a", "bad1", "b", "c", "bad2"];
    for is_mute in [false, true] {
        let fake = Fake { is_mute, ..Fake::default() };
        assert_eq!(loaded(fake, &entries).await, [true, false, true, true, false], "{is_mute}");
    }
}

#[test]
fn a_core_that_does_not_know_the_batch_yet_refuses_no_node() {
    let refused = |status| ControllerError::Refused { status, message: "x".to_owned() };
    assert_eq!(refused_content(&refused(StatusCode::NOT_FOUND)), None);
    assert_eq!(refused_content(&refused(StatusCode::SERVICE_UNAVAILABLE)), Some("x"));
}

#[tokio::test(start_paused = true)]
async fn nodes_that_come_together_are_one_batch_and_it_is_emptied_when_they_are_over() {
    let fake = Fake::default();
    let loads = Arc::clone(&fake.loads);
    let batches = Arc::new(Batches::new(fake, 500));
    let (running, stop) = (Arc::clone(&batches), CancellationToken::new());
    let stopped = stop.clone();
    let task = tokio::spawn(async move { running.run(&stopped).await });
    let id = |number: u32| -> NodeId { format!("{number:032x}").parse().unwrap() };
    let (one, other) = tokio::join!(batches.load(id(1), "a".into()), batches.load(id(2), "b".into()));
    assert_eq!(loads.lock().len(), 1);
    assert_eq!(loads.lock()[0].1.len(), 2);
    sleep(IDLE * 3).await;
    assert_eq!(loads.lock().len(), 1, "it is in use");
    drop((one, other));
    sleep(IDLE * 3).await;
    assert_eq!(loads.lock().last().unwrap().1.len(), 0);
    // More than there are batches: the next waits until one is free.
    let mut held = Vec::new();
    for number in 0..BATCHES {
        held.push(batches.load(id(10 + u32::try_from(number).unwrap()), "x".into()).await);
    }
    let next = batches.load(id(99), "y".into());
    tokio::pin!(next);
    assert!(tokio::time::timeout(Duration::from_secs(60), next.as_mut()).await.is_err());
    held.pop();
    assert!(matches!(next.await, Loaded::In(_)));
    stop.cancel();
    task.await.unwrap();
}
