//! Whose tokens of before a time are good no more, as far as this hub knows: most hubs know nobody, and look no further.

use confab_protocol::{Millis, UserId};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Until when users' tokens are revoked.
#[derive(Default)]
pub struct Revoked {
    known: RwLock<HashMap<UserId, Millis>>,
    users: AtomicUsize,
}

impl Revoked {
    /// The time before which a user's tokens are revoked, if one issued at this time is among them. One that does not say when it
    /// was issued counts as issued before.
    pub fn of(&self, user: &UserId, issued: Option<Millis>) -> Option<Millis> {
        if self.users.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let before = *self.known.read().get(user)?;
        issued.is_none_or(|at| at < before).then_some(before)
    }

    /// What the store says.
    pub fn set(&self, user: &UserId, before: Millis) {
        let mut known = self.known.write();
        known.insert(user.clone(), before);
        self.users.store(known.len(), Ordering::Relaxed);
    }

    /// Another store takes the place of the one before.
    pub fn clear(&self) {
        self.known.write().clear();
        self.users.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_does_not_say_when_it_was_issued_counts_as_issued_before() {
        let (revoked, [ada, bob]) = (Revoked::default(), ["ada", "bob"].map(|user| UserId::new(user).unwrap()));
        assert_eq!(revoked.of(&ada, None), None);
        revoked.set(&ada, 5000);
        for (issued, meets) in [(None, true), (Some(0), true), (Some(4999), true), (Some(5000), false)] {
            assert_eq!(revoked.of(&ada, issued), meets.then_some(5000), "{issued:?}");
        }
        assert_eq!(revoked.of(&bob, None), None);
        revoked.clear();
        assert_eq!(revoked.of(&ada, None), None);
    }
}
