//! A random number generator that gives rustls values chosen in advance while it builds one ClientHello.
//!
//! rustls takes the session id, the random and the key shares of a hello from its provider, which is one for all
//! connections. The values of one connection travel there through this thread, for the length of one synchronous call.
//! Every step is checked: a rustls that draws in another order gets an error, never a wrong hello.

use std::{cell::RefCell, sync::Arc};

use rustls::{
    Error,
    crypto::{GetRandomFailed, SecureRandom},
};

use super::keys::Keys;

thread_local! {
    static SCRIPT: RefCell<Option<ScriptedRng>> = const { RefCell::new(None) };
}

/// The values of one hello.
#[derive(Clone, Debug)]
pub(super) struct ScriptedRng {
    /// What the session id will be.
    pub(super) session_id: [u8; 32],
    /// What decides the order of rustls' own extensions.
    pub(super) order: [u8; 2],
    /// What the client's random will be.
    pub(super) random: [u8; 32],
    /// The key shares.
    pub(super) keys: Arc<Keys>,
    next: NextDraw,
}

/// What is drawn next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextDraw {
    SessionId,
    Order,
    Random,
    Keys,
    Over,
}

impl ScriptedRng {
    /// Random values around the keys.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub(super) fn new(keys: Arc<Keys>) -> Result<Self, Error> {
        let mut script = Self { session_id: [0; 32], order: [0; 2], random: [0; 32], keys, next: NextDraw::SessionId };
        for bytes in [&mut script.session_id[..], &mut script.order, &mut script.random] {
            system(bytes)?;
        }
        Ok(script)
    }

    /// Runs `work`, which builds one ClientHello on this thread.
    ///
    /// # Errors
    /// When the work did not draw exactly what the script has.
    pub(super) fn play<T>(self, work: impl FnOnce() -> T) -> Result<T, Error> {
        /// Takes the script away even when the work panics.
        struct Stage;
        impl Drop for Stage {
            fn drop(&mut self) {
                SCRIPT.take();
            }
        }
        let stage = Stage;
        SCRIPT.set(Some(self));
        let made = work();
        let step = SCRIPT.with_borrow(|script| script.as_ref().map(|script| script.next));
        drop(stage);
        if step == Some(NextDraw::Over) {
            Ok(made)
        } else {
            Err(Error::General(format!("a hello stopped at {step:?}")))
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        let (value, next) = match self.next {
            NextDraw::SessionId => (&self.session_id[..], NextDraw::Order),
            NextDraw::Order => (&self.order[..], NextDraw::Random),
            NextDraw::Random => (&self.random[..], NextDraw::Keys),
            NextDraw::Keys => return Err(GetRandomFailed),
            NextDraw::Over => return system(bytes),
        };
        if bytes.len() != value.len() {
            return Err(GetRandomFailed);
        }
        bytes.copy_from_slice(value);
        self.next = next;
        Ok(())
    }
}

/// The keys that the hello being built on this thread must use.
pub(super) fn take_keys() -> Result<Arc<Keys>, Error> {
    SCRIPT.with_borrow_mut(|script| match script {
        Some(script) if script.next == NextDraw::Keys => {
            script.next = NextDraw::Over;
            Ok(Arc::clone(&script.keys))
        }
        _ => Err(Error::General("no keys are laid out for this hello".into())),
    })
}

/// Randomness that follows the script of this thread, if there is one.
#[derive(Debug)]
pub(super) struct Scripted;

impl SecureRandom for Scripted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        SCRIPT.with_borrow_mut(|script| match script {
            Some(script) => script.fill(bytes),
            None => system(bytes),
        })
    }
}

/// The system's randomness.
pub(super) fn system(bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| GetRandomFailed)
}
