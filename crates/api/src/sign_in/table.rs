//! Browsers that are signed in, and the one-time codes of `hezar page`: in memory, bounded in number and in time.

use std::{collections::HashMap, time::Duration};

use hezar_core::Secret;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a sign-in lasts after its last request.
const IDLE: Duration = Duration::from_secs(12 * 3600);
/// How long a sign-in lasts at most.
pub(crate) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a one-time code waits to be used.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(120);
/// The most browsers that are signed in at a time; one more signs out the one that was idle for longest.
const MOST: usize = 64;
/// The most codes that wait at a time.
const MOST_CODES: usize = 16;

/// A token under a random name, and when it was put there and last used.
#[derive(Debug)]
struct Entry {
    token: Secret,
    made: Instant,
    used: Instant,
}

/// Who is signed in. A sign-in stands for the token that it was made with: where that is revoked, it opens nothing.
#[derive(Debug, Default)]
pub(crate) struct SignIns {
    browsers: Mutex<HashMap<String, Entry>>,
    codes: Mutex<HashMap<String, Entry>>,
}

impl SignIns {
    /// Signs a browser in; gives the secret that its cookie holds.
    pub(crate) fn sign_in(&self, token: Secret) -> String {
        put(&self.browsers, token, MOST, browser_lives)
    }

    /// The token that this cookie stands for; the sign-in lasts longer by its use.
    pub(crate) fn token(&self, cookie: &str) -> Option<Secret> {
        let mut browsers = self.browsers.lock();
        let entry = browsers.get_mut(cookie).filter(|entry| browser_lives(entry))?;
        entry.used = Instant::now();
        Some(entry.token.clone())
    }

    /// Signs a browser out; true if it was signed in.
    pub(crate) fn sign_out(&self, cookie: &str) -> bool {
        self.browsers.lock().remove(cookie).is_some()
    }

    /// Makes a code that signs one browser in, once.
    pub(crate) fn make_code(&self, token: Secret) -> String {
        put(&self.codes, token, MOST_CODES, code_lives)
    }

    /// The token of a code, which is used up by that.
    pub(crate) fn redeem(&self, code: &str) -> Option<Secret> {
        self.codes.lock().remove(code).filter(code_lives).map(|entry| entry.token)
    }
}

fn browser_lives(entry: &Entry) -> bool {
    entry.used.elapsed() < IDLE && entry.made.elapsed() < LONGEST
}

fn code_lives(entry: &Entry) -> bool {
    entry.made.elapsed() < CODE_LIFE
}

/// Keeps a token under a new random name of 256 bits; where the table is full, the entry that was idle for longest goes.
fn put(table: &Mutex<HashMap<String, Entry>>, token: Secret, most: usize, lives: fn(&Entry) -> bool) -> String {
    let name = hex::encode(rand::random::<[u8; 32]>());
    let now = Instant::now();
    let mut table = table.lock();
    table.retain(|_, entry| lives(entry));
    if table.len() >= most
        && let Some(oldest) = table.iter().min_by_key(|(_, entry)| entry.used).map(|(name, _)| name.clone())
    {
        table.remove(&oldest);
    }
    table.insert(name.clone(), Entry { token, made: now, used: now });
    name
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sign_in_lasts_while_it_is_used_and_a_week_at_most() {
        let sign_ins = SignIns::default();
        let cookie = sign_ins.sign_in("t".into());
        assert_eq!(cookie.len(), 64);
        let step = IDLE - Duration::from_secs(1);
        let mut lasted = Duration::ZERO;
        while sign_ins.token(&cookie).is_some() {
            advance(step).await;
            lasted += step;
        }
        assert!((LONGEST..LONGEST + IDLE).contains(&lasted), "{lasted:?}");
        let idle = sign_ins.sign_in("t".into());
        advance(IDLE).await;
        assert_eq!(sign_ins.token(&idle), None);
        assert_eq!(sign_ins.token("never"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_browsers_is_bounded_and_the_idlest_one_goes() {
        let sign_ins = SignIns::default();
        let first = sign_ins.sign_in("t".into());
        advance(Duration::from_secs(1)).await;
        let second = sign_ins.sign_in("t".into());
        advance(Duration::from_secs(1)).await;
        assert!(sign_ins.token(&first).is_some());
        for _ in 0..MOST - 1 {
            sign_ins.sign_in("t".into());
        }
        assert_eq!(sign_ins.browsers.lock().len(), MOST);
        assert!(sign_ins.token(&first).is_some() && sign_ins.token(&second).is_none());
        assert!(sign_ins.sign_out(&first) && !sign_ins.sign_out(&first));
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_is_good_once_and_for_two_minutes() {
        let sign_ins = SignIns::default();
        let code = sign_ins.make_code("t".into());
        assert_eq!(sign_ins.token(&code), None, "a code is no cookie");
        assert_eq!(sign_ins.redeem(&code), Some("t".into()));
        assert_eq!(sign_ins.redeem(&code), None);
        let late = sign_ins.make_code("t".into());
        advance(CODE_LIFE).await;
        assert_eq!(sign_ins.redeem(&late), None);
        for _ in 0..2 * MOST_CODES {
            sign_ins.make_code("t".into());
        }
        assert_eq!(sign_ins.codes.lock().len(), MOST_CODES);
    }
}
