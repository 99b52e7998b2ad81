//! The verb `direct`: the room of two people, which is begun by whoever asks for it first.

use super::room::{hashed, may_belong};
use super::{Caller, Error, Services, Work, arguments};
use confab_config::DIRECT;
use confab_protocol::{Body, UserId, VerbName};
use confab_store::NewRoom;
use serde::Deserialize;
use std::sync::Arc;

/// The arguments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The other one; oneself is allowed.
    user: UserId,
}

pub(super) fn begin(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let Arguments { user } = arguments::read(VerbName::Direct, data)?;
    let maker = services.access.may_begin_direct(caller.actor)?;
    may_belong(&user)?;
    let room = services.room(&name(&caller.actor.user, &user))?;
    let mut members = vec![caller.actor.user.clone()];
    if user != caller.actor.user {
        members.push(user);
    }
    let services = services.clone();
    Ok(Box::pin(async move {
        let new = NewRoom {
            room,
            owner: None,
            members,
            title: String::new(),
            topic: String::new(),
            by: String::new(),
            at: 0,
        };
        services.create(&maker, new).await
    }))
}

/// The same for both, whoever asks.
fn name(one: &UserId, other: &UserId) -> String {
    let mut both = [one.as_str(), other.as_str()];
    both.sort_unstable();
    hashed(DIRECT, both)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_two_has_one_name_whoever_asks_and_no_other_two_have_it() {
        let [ab, c, a, bc] = ["ab", "c", "a", "bc"].map(|user| UserId::new(user).unwrap());
        assert_eq!(name(&ab, &c), name(&c, &ab));
        assert_ne!(name(&ab, &c), name(&a, &bc));
        assert_ne!(name(&a, &a), name(&a, &c));
        assert!(confab_config::is_direct(&name(&a, &c)) && !confab_config::is_direct("direct:support"));
    }
}
