//! Takes people who are banned out of their rooms on this hub.

use crate::people::{Here, People};
use crate::room::Rooms;
use crate::sanctions::PutOut;
use confab_protocol::signal::Ban;
use confab_protocol::{Close, Signal};
use confab_store::{Change, Revocation, Sanction};
use std::sync::Arc;

/// Takes whoever is banned out of the room, or off the hub: from here on they hear nothing more there, whatever their
/// sessions are busy with; those leave as soon as they look up. Sessions of users whose tokens were revoked look at theirs.
pub fn expel(people: Arc<People>, rooms: Arc<Rooms>) -> PutOut {
    Box::new(move |change| {
        let (Change::Sanction(Sanction { user, .. }) | Change::Revocation(Revocation { user, .. })) = change;
        let sessions = people.of(user);
        if sessions.is_empty() {
            return;
        }
        let Change::Sanction(Sanction { room, until, reason, .. }) = change else {
            return sessions.iter().for_each(|(_, here)| here.outbox.wake());
        };
        let ban = Ban { room: room.clone(), until: *until, reason: reason.clone() };
        let signal = Signal::to_user(user.clone(), ban);
        let room = room.as_ref();
        for (session, Here { outbox, dialect, .. }) in &sessions {
            if let Some(room) = room.and_then(|room| rooms.get(room)) {
                room.leave(*session);
            }
            outbox.push(dialect.signal(&signal));
            match room {
                Some(_) => outbox.wake(),
                None => outbox.close(Close::ForceDisconnect),
            }
        }
        let room = room.map(tracing::field::display);
        tracing::info!(room, %user, sessions = sessions.len(), "sessions of a banned user removed");
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::outbox::{Drained, Frame, Outbox};
    use crate::room::{JoinRequest, Standing};
    use confab_protocol::{Cursor, Room, UserId};
    use confab_store::SanctionKind;
    use uuid::Uuid;

    fn queued(outbox: &Outbox) -> Vec<String> {
        let mut frames = Vec::new();
        assert!(matches!(outbox.drain(&mut frames), Drained::Frames));
        let text = |frame| if let Frame::Text(text) = frame { text.to_string() } else { panic!("JSON is text") };
        frames.into_iter().map(text).collect()
    }

    /// Whatever the session is busy with, such as a client that reads slowly: it is not asked.
    #[test]
    fn who_is_banned_hears_nothing_more_before_their_session_has_looked_up() {
        let people = Arc::new(People::default());
        let rooms = Arc::new(Rooms::default());
        let ada = UserId::new("ada").unwrap();
        let lobby = Room::new("lobby").unwrap();
        let client = Uuid::nil();
        let outbox = Arc::new(Outbox::new(10_000));
        let dialect = Dialect::NativeJson;
        let here = Here { client: "c".into(), outbox: outbox.clone(), dialect: dialect.clone() };
        assert!(people.came(&ada, 1, here, 1));
        let local = rooms.enter(&lobby);
        let place = Cursor::new(1, 0);
        let request =
            JoinRequest { session: 1, client, outbox: outbox.clone(), dialect, join_leave: false, given: false };
        let ticket = local.join(request);
        local.begin_at(place);
        assert_eq!(local.go_live(1, ticket, place, None), Standing::Live);

        let put_out = expel(people, rooms);
        let reason = "enough".to_owned();
        let by = "mia".to_owned();
        let ban = Sanction { kind: SanctionKind::Ban, room: Some(lobby), user: ada, until: Some(9), reason, by, at: 0 };
        put_out(&Change::Sanction(ban.clone()));
        assert!(!local.knows(1) && local.listeners() == 0);
        assert!(outbox.woken() && !outbox.woken());
        let told = queued(&outbox);
        let message = r#"{"type":"ban","room":"lobby","until":9,"reason":"enough"}"#;
        assert!(told.len() == 1 && told[0].contains(message), "{told:?}");

        put_out(&Change::Sanction(Sanction { room: None, until: None, ..ban }));
        outbox.push("anything".to_owned().into());
        assert!(queued(&outbox)[0].contains(r#"{"type":"ban","reason":"enough"}"#));
        assert!(matches!(outbox.drain(&mut Vec::new()), Drained::Close(Close::ForceDisconnect)));
    }
}
