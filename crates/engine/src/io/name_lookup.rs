//! Looks up a name that datagrams are sent to. The sender polls the look-up, and its result is kept for further datagrams.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::BoxFuture;
use hezar_core::Target;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long the last address is used before the resolver, which has a cache of its own, is asked again.
const REMEMBERED: Duration = Duration::from_secs(1);

/// A look-up under way, and the last one that succeeded.
#[derive(Default)]
pub(crate) struct NameLookup(Mutex<LookupState>);

#[derive(Default)]
struct LookupState {
    pending: Option<(Target, BoxFuture<'static, io::Result<SocketAddr>>)>,
    last: Option<(Target, SocketAddr, Instant)>,
}

impl NameLookup {
    /// The address of a target; `start` looks it up when that is neither known nor under way. A look-up for another
    /// target is given up.
    ///
    /// # Errors
    /// What the look-up fails with.
    pub(crate) fn poll(
        &self,
        cx: &mut Context<'_>,
        target: &Target,
        start: impl FnOnce() -> BoxFuture<'static, io::Result<SocketAddr>>,
    ) -> Poll<io::Result<SocketAddr>> {
        let mut state = self.0.lock();
        if let Some((known, address, until)) = &state.last
            && known == target
            && Instant::now() < *until
        {
            return Poll::Ready(Ok(*address));
        }
        let pending = state.pending.take().filter(|(wanted, _)| wanted == target);
        let (wanted, mut lookup) = pending.unwrap_or_else(|| (target.clone(), start()));
        let Poll::Ready(found) = lookup.as_mut().poll(cx) else {
            state.pending = Some((wanted, lookup));
            return Poll::Pending;
        };
        let address = found?;
        state.last = Some((wanted, address, Instant::now() + REMEMBERED));
        Poll::Ready(Ok(address))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn};

    use futures_util::FutureExt;

    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_up_is_shared_by_the_datagrams_that_wait_for_it_and_remembered_for_a_while() {
        let (lookup, mut started) = (NameLookup::default(), 0);
        let address: SocketAddr = ([192, 0, 2, 1], 53).into();
        let slow = || tokio::time::sleep(Duration::from_millis(10)).map(move |()| Ok(address)).boxed();
        let mut ask = |name: &'static str| {
            poll_fn(|cx| {
                lookup.poll(cx, &target(name), || {
                    started += 1;
                    slow()
                })
            })
            .now_or_never()
        };
        assert!(ask("a.test:53").is_none() && ask("a.test:53").is_none());
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(ask("a.test:53").unwrap().unwrap(), address);
        assert_eq!(ask("a.test:53").unwrap().unwrap(), address);
        tokio::time::sleep(REMEMBERED).await;
        assert!(ask("a.test:53").is_none(), "it is looked up again");
        assert!(ask("b.test:53").is_none(), "the other one is given up");
        assert_eq!(started, 3);
    }

    #[tokio::test]
    async fn a_failed_look_up_is_not_remembered() {
        let lookup = NameLookup::default();
        let failed = || async { Err(io::ErrorKind::NotFound.into()) }.boxed();
        let found = poll_fn(|cx| lookup.poll(cx, &target("a.test:53"), failed)).await;
        assert_eq!(found.unwrap_err().kind(), io::ErrorKind::NotFound);
        let next = poll_fn(|cx| lookup.poll(cx, &target("a.test:53"), || pending().boxed()));
        assert!(next.now_or_never().is_none(), "it is looked up again");
    }
}
