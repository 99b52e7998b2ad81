//! The rows of rooms that people made: how they come, and what people call them.

use crate::columns::from_row;
use crate::members::{NEXT, Role, SET, SET_MARK, counter};
use crate::row::{name, number, time};
use crate::store::{on_reader, on_transaction, on_writer};
use crate::{Error, Store};
use confab_protocol::{EventId, Millis, Room, UserId};

/// A room that is to be made.
#[derive(Clone, Debug)]
pub struct NewRoom {
    /// Its name.
    pub room: Room,
    /// Its first member, and an owner. A room made with one must always have one; a room made without need not.
    pub owner: Option<UserId>,
    /// Who else belongs to it from the beginning.
    pub members: Vec<UserId>,
    /// What people call it; may be empty.
    pub title: String,
    /// What it is about; may be empty.
    pub topic: String,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// What became of a room that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was made.
    New,
    /// There is one of this name. Nothing was changed.
    Exists,
}

/// A room that people made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRow {
    /// Its name.
    pub room: Room,
    /// What people call it; may be empty.
    pub title: String,
    /// What it is about; may be empty.
    pub topic: String,
    /// How many members it has.
    pub members: u64,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: Millis,
    /// What somebody who was asked about is in it.
    pub role: Option<Role>,
}

const CREATE: &str = "insert into rooms (room, owned, members, title, topic, created_by, created_at)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (room) do nothing";
const ONE: &str = "select rooms.room, title, topic, rooms.members, created_by, created_at, role from rooms
     left join members on members.room = rooms.room and person = $2 where rooms.room = $1";
const OF_PERSON: &str = "select rooms.room, title, topic, rooms.members, created_by, created_at, role from members
     join rooms on rooms.room = members.room
     where person = $1 and members.room > $2 and role is not null order by members.room limit $3";
const ALL: &str = "select room, title, topic, members, created_by, created_at, null as role from rooms
     where room > $1 order by room limit $2";
const OTHERS: &str = "select own.room, other.person from members own
     join members other on other.room = own.room and other.person <> own.person and other.role is not null
     where own.person = $1 and own.role is not null and own.room > $2 and own.room like $3
     order by own.room limit $4";
const DESCRIBE: &str = "update rooms set title = coalesce($2, title), topic = coalesce($3, topic) where room = $1";

from_row! {
    struct Row {
        room: String,
        title: String,
        topic: String,
        members: i64,
        created_by: String,
        created_at: i64,
        role: Option<String>,
    }
}

impl Row {
    fn room(self) -> Result<RoomRow, Error> {
        Ok(RoomRow {
            room: name(Room::new(&self.room))?,
            title: self.title,
            topic: self.topic,
            members: time(self.members),
            by: self.created_by,
            at: time(self.created_at),
            role: self.role.as_deref().map(Role::from_column).transpose()?,
        })
    }
}

impl Store {
    /// Makes a room that people have, with its first members.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn create_room(&self, new: &NewRoom) -> Result<Created, Error> {
        let NewRoom { room, owner, members, title, topic, by, at } = new;
        let counter = counter(room);
        let first = owner.iter().map(|owner| (owner, Role::Owner));
        let others =
            members.iter().filter(|member| Some(*member) != owner.as_ref()).map(|member| (member, Role::Member));
        let people: Vec<(&UserId, Role)> = first.chain(others).collect();
        self.within(async {
            let failed = |error| Error::sort("make a room", error);
            let mut transaction = self.begin().await?;
            on_transaction!(&mut transaction, connection => {
                let row = sqlx::query(CREATE).bind(room.as_str()).bind(i64::from(owner.is_some()));
                let row = row.bind(number(people.len() as u64)).bind(title).bind(topic).bind(by).bind(number(*at));
                if row.execute(&mut *connection).await.map_err(failed)?.rows_affected() == 0 {
                    return Ok(Created::Exists);
                }
                for (user, role) in &people {
                    let version: i64 =
                        sqlx::query_scalar(NEXT).bind(counter).fetch_one(&mut *connection).await.map_err(failed)?;
                    let row = sqlx::query(SET).bind(room.as_str()).bind(user.as_str()).bind(role.as_str());
                    let row = row.bind(by).bind(number(*at)).bind(counter).bind(version);
                    row.execute(&mut *connection).await.map_err(failed)?;
                    let mark = sqlx::query(SET_MARK).bind(counter).bind(version).bind(EventId::fresh().to_string());
                    mark.execute(&mut *connection).await.map_err(failed)?;
                }
            });
            transaction.commit().await.map_err(failed)?;
            Ok(Created::New)
        })
        .await
    }

    /// A room that people made, and what this user is in it; `None` if there is none of that name.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn room_row(&self, room: &Room, user: &UserId) -> Result<Option<RoomRow>, Error> {
        let row: Option<Row> = self
            .within(async {
                on_reader!(self, pool => {
                    sqlx::query_as(ONE).bind(room.as_str()).bind(user.as_str()).fetch_optional(pool).await
                })
                .map_err(|error| Error::sort("read a room", error))
            })
            .await?;
        row.map(Row::room).transpose()
    }

    /// The next `limit` rooms after this one of which somebody is a member, in the database's order of their names.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn room_rows_of(&self, user: &UserId, after: &str, limit: usize) -> Result<Vec<RoomRow>, Error> {
        let rows: Vec<Row> = self
            .within(async {
                on_reader!(self, pool => {
                    let rows = sqlx::query_as(OF_PERSON).bind(user.as_str()).bind(after);
                    rows.bind(number(limit as u64)).fetch_all(pool).await
                })
                .map_err(|error| Error::sort("list somebody's rooms", error))
            })
            .await?;
        rows.into_iter().map(Row::room).collect()
    }

    /// Who else belongs to the next `limit` rooms of somebody whose names begin so, room by room; for rooms of two.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn others_of(
        &self,
        user: &UserId,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(Room, UserId)>, Error> {
        let rows: Vec<(String, String)> = self
            .within(async {
                on_reader!(self, pool => {
                    let rows = sqlx::query_as(OTHERS).bind(user.as_str()).bind(after).bind(format!("{prefix}%"));
                    rows.bind(number(limit as u64)).fetch_all(pool).await
                })
                .map_err(|error| Error::sort("list who belongs to somebody's rooms", error))
            })
            .await?;
        rows.into_iter().map(|(room, user)| Ok((name(Room::new(&room))?, name(UserId::new(user))?))).collect()
    }

    /// The next `limit` rooms after this one, of all that people made.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn room_rows(&self, after: &str, limit: usize) -> Result<Vec<RoomRow>, Error> {
        let rows: Vec<Row> = self
            .within(async {
                on_reader!(self, pool => {
                    sqlx::query_as(ALL).bind(after).bind(number(limit as u64)).fetch_all(pool).await
                })
                .map_err(|error| Error::sort("list rooms", error))
            })
            .await?;
        rows.into_iter().map(Row::room).collect()
    }

    /// Gives a room another title or topic; what is `None` stays. False if there is no such room.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn describe_room(&self, room: &Room, title: Option<&str>, topic: Option<&str>) -> Result<bool, Error> {
        self.within(async {
            on_writer!(self, pool => {
                let done = sqlx::query(DESCRIBE).bind(room.as_str()).bind(title).bind(topic).execute(pool).await;
                done.map(|done| done.rows_affected() > 0)
            })
            .map_err(|error| Error::sort("describe a room", error))
        })
        .await
    }
}
