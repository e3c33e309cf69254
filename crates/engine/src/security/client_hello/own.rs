//! Decides when rustls' own hello is sent to a node that is normally met with a browser's.
//!
//! Some servers answer a browser's hello with something that only the browser understands. But such an answer is not
//! authenticated: anybody on the path can forge it, to see which hello comes next. So one such answer changes nothing. After a
//! second one the own hello is sent once, and it is used further only when it has led to a complete handshake. That lasts for a
//! while, and then the browser's hello is tried again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Shape;
use crate::Cause;

/// How long a node is met with rustls' own hello after that has helped.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How long no own hello is shown after one.
const PAUSE: Duration = Duration::from_secs(600);

/// The rule of one node.
#[derive(Debug)]
pub(crate) enum OwnHello {
    /// The node asks for it (`fp=none`).
    Always,
    /// What the layer hides behind would be gone: REALITY servers understand every browser's hello that we have.
    Never,
    /// As learned, while the setting allows it.
    WhenNeeded {
        /// The setting, which may change at any time.
        allowed: Arc<AtomicBool>,
        /// What was learned.
        state: Mutex<HelloState>,
    },
}

/// What was learned.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum HelloState {
    /// The browser's hello does.
    #[default]
    Browser,
    /// It has failed once.
    Doubted,
    /// It has failed twice: the next hello is an own one.
    Due,
    /// An own one is on its way, or did not help; there is no other one until then.
    Tried(Instant),
    /// An own one has helped, which counts until then.
    Helped(Instant),
}

impl HelloState {
    fn now(self) -> Self {
        match self {
            Self::Tried(end) | Self::Helped(end) if Instant::now() >= end => Self::Browser,
            state => state,
        }
    }
}

impl OwnHello {
    /// The rule of a layer that is recognised by its hello; `asked` when the node wants rustls' own.
    pub(crate) const fn only_when(asked: bool) -> Self {
        if asked { Self::Always } else { Self::Never }
    }

    /// The rule of a layer that needs the connection more than the hello, for as long as that is `allowed`.
    pub(crate) const fn when_needed(allowed: Arc<AtomicBool>) -> Self {
        Self::WhenNeeded { allowed, state: Mutex::new(HelloState::Browser) }
    }

    /// Whether the next hello is rustls' own. Where it is only a try, this is said once.
    pub(crate) fn is_due(&self) -> bool {
        let state = match self {
            Self::Always => return true,
            Self::Never => return false,
            Self::WhenNeeded { allowed, .. } if !allowed.load(Relaxed) => return false,
            Self::WhenNeeded { state, .. } => state,
        };
        let mut state = state.lock();
        *state = state.now();
        match *state {
            HelloState::Due => {
                *state = HelloState::Tried(Instant::now() + PAUSE);
                true
            }
            HelloState::Helped(_) => true,
            HelloState::Browser | HelloState::Doubted | HelloState::Tried(_) => false,
        }
    }

    /// Whether another try has a chance after [`Cause::Hello`].
    pub(crate) fn may_follow(&self) -> bool {
        let Self::WhenNeeded { allowed, state } = self else { return false };
        allowed.load(Relaxed) && matches!(*state.lock(), HelloState::Doubted | HelloState::Due)
    }

    /// Learns how a handshake went with the hello that was sent.
    pub(crate) fn learn(&self, sent: Shape, failure: Option<&Cause>) {
        let Self::WhenNeeded { state, .. } = self else { return };
        let mut state = state.lock();
        *state = match (sent, failure, state.now()) {
            (Shape::Own, None, _) => HelloState::Helped(Instant::now() + REMEMBERED),
            (Shape::Browser(_), None, _) => HelloState::Browser,
            (Shape::Browser(_), Some(Cause::Hello(_)), HelloState::Browser) => HelloState::Doubted,
            (Shape::Browser(_), Some(Cause::Hello(_)), HelloState::Doubted) => HelloState::Due,
            (_, _, state) => state,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::client_hello::template;

    const BROWSER: Shape = Shape::Browser(&template::CHROME);

    fn when_needed() -> OwnHello {
        OwnHello::when_needed(Arc::new(AtomicBool::new(true)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_setting_that_forbids_it_holds_for_nodes_that_are_in_use() {
        let allowed = Arc::new(AtomicBool::new(true));
        let own = OwnHello::when_needed(Arc::clone(&allowed));
        own.learn(BROWSER, Some(&forged()));
        own.learn(BROWSER, Some(&forged()));
        allowed.store(false, Relaxed);
        assert!(!own.may_follow() && !own.is_due());
        allowed.store(true, Relaxed);
        assert!(own.may_follow() && own.is_due());
    }

    fn forged() -> Cause {
        Cause::Hello("forged".into())
    }

    #[tokio::test(start_paused = true)]
    async fn one_answer_changes_nothing() {
        let own = when_needed();
        for _ in 0..100 {
            own.learn(BROWSER, Some(&forged()));
            assert!(own.may_follow() && !own.is_due());
            own.learn(BROWSER, Some(&Cause::Closed));
            own.learn(BROWSER, None);
            assert!(!own.may_follow() && !own.is_due());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_forges_every_answer_sees_few_own_hellos() {
        let own = when_needed();
        let (begun, mut shown) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_secs(24 * 3600) {
            if own.is_due() {
                shown += 1;
                own.learn(Shape::Own, Some(&Cause::Reset));
            } else {
                own.learn(BROWSER, Some(&forged()));
            }
            tokio::time::advance(Duration::from_secs(20)).await;
        }
        assert!(shown <= 24 * 6, "{shown}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_helped_is_remembered_for_a_while() {
        let own = when_needed();
        own.learn(BROWSER, Some(&forged()));
        own.learn(BROWSER, Some(&forged()));
        assert!(own.is_due() && !own.is_due(), "a try is one hello");
        own.learn(Shape::Own, None);
        assert!(own.is_due() && own.is_due());
        // Trouble of another kind is no reason to change the hello.
        own.learn(Shape::Own, Some(&Cause::Timeout));
        assert!(own.is_due());
        tokio::time::advance(REMEMBERED).await;
        assert!(!own.is_due());
        own.learn(BROWSER, Some(&forged()));
        assert!(!own.is_due() && own.may_follow());
    }

    #[tokio::test(start_paused = true)]
    async fn settings_stand_above_what_is_learned() {
        for (own, due) in [(OwnHello::only_when(true), true), (OwnHello::only_when(false), false)] {
            for _ in 0..5 {
                own.learn(BROWSER, Some(&forged()));
                assert_eq!((own.is_due(), own.may_follow()), (due, false));
                own.learn(Shape::Own, None);
            }
        }
    }
}
