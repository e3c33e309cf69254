//! A pause of background tasks: each ends as it does at the end of the program, and begins anew when the pause is over.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Whether tasks pause, and how many of them work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pause {
    paused: watch::Sender<bool>,
    working: watch::Sender<usize>,
}

/// A task that works until this is dropped.
struct Working(watch::Sender<usize>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.send_modify(|working| *working = working.saturating_sub(1));
    }
}

impl Pause {
    /// Runs what `start` makes until `stop`; in a pause it is asked to end, and made anew after it.
    ///
    /// # Errors
    /// What the task fails with, or nothing when it ended by itself.
    pub(crate) async fn run<T>(
        &self,
        stop: &CancellationToken,
        start: impl Fn(CancellationToken) -> T,
    ) -> anyhow::Result<()>
    where
        T: Future<Output = anyhow::Result<()>>,
    {
        let mut paused = self.paused.subscribe();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = paused.wait_for(|paused| !paused) => {}
            }
            let Some(_working) = self.begin() else { continue };
            let end = stop.child_token();
            let work = start(end.clone());
            tokio::pin!(work);
            tokio::select! {
                ended = work.as_mut() => return ended,
                _ = paused.wait_for(|paused| *paused) => {}
            }
            end.cancel();
            work.await?;
        }
    }

    /// Counts one more task that works; `None` when a pause has begun.
    fn begin(&self) -> Option<Working> {
        self.working.send_modify(|working| *working += 1);
        let working = Working(self.working.clone());
        // Whoever pauses looks at the number after the flag is set: one of the two sees the other.
        (!*self.paused.borrow()).then_some(working)
    }

    /// Asks all tasks to end, and waits until they have.
    pub(crate) async fn pause(&self) {
        self.paused.send_replace(true);
        // The sender lives as long as this, so that waiting cannot fail.
        let _ = self.working.subscribe().wait_for(|working| *working == 0).await;
    }

    /// Lets the tasks begin anew.
    pub(crate) fn resume(&self) {
        self.paused.send_replace(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tasks_end_for_a_pause_and_begin_anew() {
        let (pause, stop) = (Pause::default(), CancellationToken::new());
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (Arc::clone(&begun), Arc::clone(&ended));
        let (runner, stopped) = (pause.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let work = |end: CancellationToken| {
                let (begun, ended) = counters.clone();
                async move {
                    begun.fetch_add(1, SeqCst);
                    end.cancelled().await;
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                    ended.fetch_add(1, SeqCst);
                    Ok(())
                }
            };
            runner.run(&stopped, work).await
        });
        tokio::task::yield_now().await;
        pause.pause().await;
        assert_eq!((begun.load(SeqCst), ended.load(SeqCst)), (1, 1), "it has ended before the pause begins");
        tokio::time::sleep(std::time::Duration::from_secs(9)).await;
        assert_eq!(begun.load(SeqCst), 1);
        pause.resume();
        tokio::time::sleep(std::time::Duration::from_secs(9)).await;
        assert_eq!(begun.load(SeqCst), 2);
        stop.cancel();
        task.await.unwrap().unwrap();
        assert_eq!(ended.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_comes_through_a_pause_and_a_failure_is_told() {
        let (pause, stop) = (Pause::default(), CancellationToken::new());
        let failing = pause.run(&stop, |_| async { anyhow::bail!("on purpose") }).await;
        assert!(failing.is_err());
        pause.pause().await;
        stop.cancel();
        assert!(pause.run(&stop, |_| std::future::pending()).await.is_ok());
    }
}
