//! Rooms that people made, and who belongs to them, in which role.
//!
//! Every change is one transaction that locks the room's row first, then takes a version of the room's counter. Versions of
//! a counter are seen in their order, so that a reader that remembers one for each counter misses no change.

use crate::columns::from_row;
use crate::row::{name, number, time};
use crate::store::{on_reader, on_transaction, on_writer};
use crate::{Error, Store};
use confab_protocol::{EventId, Millis, Room, UserId};

/// How many counters of versions there are. A room's counter follows from its name.
pub const VERSION_COUNTERS: u8 = 64;

/// What a member is in a room, from the lowest rank to the highest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// One of those who belong to it.
    Member,
    /// Keeps order in it.
    Moderator,
    /// Decides about it.
    Owner,
}

impl Role {
    /// Its name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }

    pub(crate) fn from_column(text: &str) -> Result<Self, Error> {
        [Self::Member, Self::Moderator, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Error::malformed("members", format!("role: {text}")))
    }
}

/// A change of who belongs to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// Somebody becomes a member. Who is one already keeps the role that they have.
    Add {
        /// In this role.
        role: Role,
        /// Only where the room has fewer members than this.
        max_members: u64,
    },
    /// A member gets this role.
    Role(Role),
    /// Somebody is a member no more: they left, or were removed.
    Remove,
}

/// Who belongs where is to be changed.
#[derive(Clone, Debug)]
pub struct MemberChange {
    /// In which room.
    pub room: Room,
    /// Whose membership.
    pub user: UserId,
    /// How.
    pub change: Membership,
    /// The member who asks, and the lowest role in which they may: looked at again while the room is locked. `None`: whoever asks need
    /// not belong to the room.
    pub asker: Option<(UserId, Role)>,
    /// Only where the member whose membership it is has a lower role than this.
    pub below: Option<Role>,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, and has this version of the room's counter.
    Changed(u64),
    /// It was so already. Nothing was changed.
    Unchanged,
    /// There is no such room.
    NoRoom,
    /// A role was to be given to somebody who is no member.
    NoMember,
    /// The room would have no owner, and must have one.
    LastOwner,
    /// The room has as many members as it may have.
    Full,
    /// Whoever asks has not the role for it, or not any more.
    NotAllowed,
    /// Whom it is about has too high a role for it.
    TooHigh,
}

/// Somebody's membership in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The room.
    pub room: Room,
    /// Who.
    pub user: UserId,
    /// What they are there; `None` where they are a member no more.
    pub role: Option<Role>,
    /// The version of its last change, of the room's counter.
    pub version: u64,
}

/// The last version of a counter; 0 where nothing has changed yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberVersion {
    /// The number.
    pub version: u64,
    /// Its random mark: another database gives out the same number with another one.
    pub mark: Option<String>,
}

/// An update that changes nothing locks the row in either database.
const LOCK: &str = "update rooms set members = members where room = $1 returning owned, members";
pub(crate) const NEXT: &str = "update member_versions set current = current + 1 where counter = $1 returning current";
/// A number may come again, where the database is another one than that which gave it out.
pub(crate) const SET_MARK: &str = "insert into member_marks (counter, version, mark) values ($1, $2, $3)
     on conflict (counter, version) do update set mark = excluded.mark";
const MARK: &str = "select mark from member_marks where counter = $1 and version = $2";
const FORGET_MARKS: &str = "delete from member_marks where version <=
     (select current - $1 from member_versions where member_versions.counter = member_marks.counter)";
const VERSIONS: &str = "select current, mark from member_versions
     left join member_marks on member_marks.counter = member_versions.counter and version = current
     order by member_versions.counter";
const ROLE: &str = "select role from members where room = $1 and person = $2 and role is not null";
const OTHER_OWNER: &str = "select person from members where room = $1 and person <> $2 and role = 'owner' limit 1";
const COUNT: &str = "update rooms set members = members + $2 where room = $1";
pub(crate) const SET: &str = "insert into members (room, person, role, said_by, at, counter, version)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (room, person) do update set role = excluded.role, said_by = excluded.said_by, at = excluded.at,
         version = excluded.version";
const OF_ROOM: &str = "select room, person, role, version from members
     where room = $1 and person > $2 and role is not null order by person limit $3";
const OF_PERSON: &str = "select room, person, role, version from members
     where person = $1 and room > $2 and role is not null order by room limit $3";
const SINCE: &str = "select room, person, role, version from members
     where counter = $1 and version > $2 order by version limit $3";

from_row! {
    struct MemberRow {
        room: String,
        person: String,
        role: Option<String>,
        version: i64,
    }
}

impl MemberRow {
    fn member(self) -> Result<Member, Error> {
        Ok(Member {
            room: name(Room::new(&self.room))?,
            user: name(UserId::new(self.person))?,
            role: self.role.as_deref().map(Role::from_column).transpose()?,
            version: time(self.version),
        })
    }
}

/// The counter of a room's versions: its name's 64-bit FNV-1a hash, modulo their number. Every program that writes must agree
/// on it.
pub(crate) fn counter(room: &Room) -> i64 {
    let mixed = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = room.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, mixed);
    number(hash % u64::from(VERSION_COUNTERS))
}

/// What a change makes of a membership: the role afterwards, or why it is not done.
fn decide(change: Membership, had: Option<Role>, members: u64, owner_stays: bool) -> Result<Option<Role>, Outcome> {
    let role = match (change, had) {
        (Membership::Add { .. }, Some(_)) | (Membership::Remove, None) => return Err(Outcome::Unchanged),
        (Membership::Add { max_members, .. }, None) if members >= max_members => return Err(Outcome::Full),
        (Membership::Add { role, .. }, None) => Some(role),
        (Membership::Role(_), None) => return Err(Outcome::NoMember),
        (Membership::Role(role), Some(had)) if role == had => return Err(Outcome::Unchanged),
        (Membership::Role(role), Some(_)) => Some(role),
        (Membership::Remove, Some(_)) => None,
    };
    if owner_stays { Ok(role) } else { Err(Outcome::LastOwner) }
}

impl Store {
    /// Changes who belongs to a room. Done again, it changes nothing more.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn change_member(&self, asked: &MemberChange) -> Result<Outcome, Error> {
        let MemberChange { room, user, change, asker, below, by, at } = asked;
        let (room, user, counter) = (room.as_str(), user.as_str(), counter(room));
        self.within(async {
            let failed = |error| Error::sort("change who belongs to a room", error);
            let mut transaction = self.begin().await?;
            let version: i64 = on_transaction!(&mut transaction, connection => {
                let locked = sqlx::query_as(LOCK).bind(room).fetch_optional(&mut *connection).await;
                let Some((owned, members)) = locked.map_err(failed)? else { return Ok(Outcome::NoRoom) };
                let _: (i64, i64) = (owned, members);
                let had = sqlx::query_scalar(ROLE).bind(room).bind(user).fetch_optional(&mut *connection).await;
                let had: Option<String> = had.map_err(failed)?;
                let had = had.as_deref().map(Role::from_column).transpose()?;
                if let Some((asker, needed)) = asker {
                    let is = sqlx::query_scalar(ROLE).bind(room).bind(asker.as_str());
                    let is: Option<String> = is.fetch_optional(&mut *connection).await.map_err(failed)?;
                    if is.as_deref().map(Role::from_column).transpose()?.is_none_or(|is| is < *needed) {
                        return Ok(Outcome::NotAllowed);
                    }
                }
                if below.is_some_and(|below| had >= Some(below)) {
                    return Ok(Outcome::TooHigh);
                }
                let owner_stays = owned == 0 || had != Some(Role::Owner) || *change == Membership::Role(Role::Owner) || {
                    let other = sqlx::query_scalar(OTHER_OWNER).bind(room).bind(user);
                    let other: Option<String> = other.fetch_optional(&mut *connection).await.map_err(failed)?;
                    other.is_some()
                };
                let role = match decide(*change, had, time(members), owner_stays) {
                    Ok(role) => role,
                    Err(outcome) => return Ok(outcome),
                };
                let version = sqlx::query_scalar(NEXT).bind(counter).fetch_one(&mut *connection).await.map_err(failed)?;
                let row = sqlx::query(SET).bind(room).bind(user).bind(role.map(Role::as_str)).bind(by);
                let row = row.bind(number(*at)).bind(counter).bind(version);
                row.execute(&mut *connection).await.map_err(failed)?;
                let mark = sqlx::query(SET_MARK).bind(counter).bind(version).bind(EventId::fresh().to_string());
                mark.execute(&mut *connection).await.map_err(failed)?;
                let more = i64::from(role.is_some()) - i64::from(had.is_some());
                sqlx::query(COUNT).bind(room).bind(more).execute(&mut *connection).await.map_err(failed)?;
                version
            });
            transaction.commit().await.map_err(failed)?;
            Ok(Outcome::Changed(time(version)))
        })
        .await
    }

    /// What somebody is in a room; `None` if they do not belong to it, or there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn role(&self, room: &Room, user: &UserId) -> Result<Option<Role>, Error> {
        let role: Option<String> = self
            .within(async {
                on_reader!(self, pool => {
                    sqlx::query_scalar(ROLE).bind(room.as_str()).bind(user.as_str()).fetch_optional(pool).await
                })
                .map_err(|error| Error::sort("read who belongs to a room", error))
            })
            .await?;
        role.as_deref().map(Role::from_column).transpose()
    }

    /// The next `limit` members of a room after this one, in the database's order of their ids.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn members(&self, room: &Room, after: Option<&UserId>, limit: usize) -> Result<Vec<Member>, Error> {
        self.list_members(OF_ROOM, room.as_str(), after.map_or("", UserId::as_str), limit).await
    }

    /// The next `limit` rooms after this one to which somebody belongs, in the database's order of their names.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn rooms_of(&self, user: &UserId, after: Option<&Room>, limit: usize) -> Result<Vec<Member>, Error> {
        self.list_members(OF_PERSON, user.as_str(), after.map_or("", Room::as_str), limit).await
    }

    async fn list_members(
        &self,
        statement: &'static str,
        of: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Member>, Error> {
        let rows: Vec<MemberRow> = self
            .within(async {
                on_reader!(self, pool => {
                    sqlx::query_as(statement).bind(of).bind(after).bind(number(limit as u64)).fetch_all(pool).await
                })
                .map_err(|error| Error::sort("list who belongs to a room", error))
            })
            .await?;
        rows.into_iter().map(MemberRow::member).collect()
    }

    /// The last version of each counter, from the first counter to the last, by one query.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn member_versions(&self) -> Result<Vec<MemberVersion>, Error> {
        let versions: Vec<(i64, Option<String>)> = self
            .within(async {
                on_reader!(self, pool => sqlx::query_as(VERSIONS).fetch_all(pool).await)
                    .map_err(|error| Error::sort("read the versions of who belongs to rooms", error))
            })
            .await?;
        Ok(versions.into_iter().map(|(version, mark)| MemberVersion { version: time(version), mark }).collect())
    }

    /// The next `limit` memberships of a counter that changed after this version, also those that ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn member_changes(&self, counter: u8, version: u64, limit: usize) -> Result<Vec<Member>, Error> {
        let rows: Vec<MemberRow> = self
            .within(async {
                on_reader!(self, pool => {
                    let rows = sqlx::query_as(SINCE).bind(i64::from(counter)).bind(number(version));
                    rows.bind(number(limit as u64)).fetch_all(pool).await
                })
                .map_err(|error| Error::sort("read who belongs to a room", error))
            })
            .await?;
        rows.into_iter().map(MemberRow::member).collect()
    }

    /// The mark of a version of a counter; `None` if this database never gave it out, or has forgotten it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn member_mark(&self, counter: u8, version: u64) -> Result<Option<String>, Error> {
        self.within(async {
            on_reader!(self, pool => {
                sqlx::query_scalar(MARK).bind(i64::from(counter)).bind(number(version)).fetch_optional(pool).await
            })
            .map_err(|error| Error::sort("read the mark of a version", error))
        })
        .await
    }

    /// Removes the marks of all but the newest `keep` versions of each counter; returns how many.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn forget_member_marks(&self, keep: u64) -> Result<u64, Error> {
        self.within(async {
            on_writer!(self, pool => {
                let done = sqlx::query(FORGET_MARKS).bind(number(keep)).execute(pool).await;
                done.map(|done| done.rows_affected())
            })
            .map_err(|error| Error::sort("forget marks of old versions", error))
        })
        .await
    }
}
