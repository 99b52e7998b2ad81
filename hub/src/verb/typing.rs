//! The verb `typing`: the others in a room are told that somebody is.

use super::{Caller, Error, Services, Work, arguments};
use crate::access::Act;
use confab_config::JudgedKind;
use confab_protocol::{Body, Refusal, VerbName};
use serde::Deserialize;
use std::sync::Arc;

/// The arguments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    room: String,
}

pub(super) fn begin(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let Arguments { room } = arguments::read(VerbName::Typing, data)?;
    let room = services.room(&room)?;
    let permit = services.access.may(caller.actor, Act::Type, &room, (caller.claim)(&room));
    let permit = permit.inspect_err(|refusal| {
        if matches!(refusal, Refusal::Muted { .. }) {
            services.telemetry.ephemeral(JudgedKind::Typing.as_str(), refusal.name());
        }
    })?;
    let publisher = services.publisher.clone();
    Ok(Box::pin(async move {
        publisher.typing(permit).await?;
        Ok(Body::of(&serde_json::Map::new()))
    }))
}
