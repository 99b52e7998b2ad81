//! Rows on their way into a table of PostgreSQL, in the binary form of COPY: it takes them several times as fast as inserts.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

/// What comes first: the signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What comes last: a row of −1 columns.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// How much is sent at a time, in bytes, so that no copy of the whole is kept.
const PIECE: usize = 1 << 18;

/// Rows of one table. Each begins with [`Copied::row`]; its columns follow in the order in which the statement names them.
///
/// A connection on which [`Copied::send`] failed or was dropped on its way may still be given answers, so it must not be
/// used again.
#[derive(Debug)]
pub struct Copied(Vec<u8>);

impl Default for Copied {
    fn default() -> Self {
        Self(HEADER.to_vec())
    }
}

impl Copied {
    /// Begins a row of so many columns.
    pub fn row(&mut self, columns: i16) {
        self.0.extend(columns.to_be_bytes());
    }

    /// A column of type text.
    pub fn text(&mut self, text: Option<&str>) {
        self.column(text.map(str::as_bytes));
    }

    /// A column of type bigint.
    pub fn bigint(&mut self, number: Option<i64>) {
        self.column(number.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
    }

    /// A column of type integer.
    pub fn integer(&mut self, number: i32) {
        self.column(Some(&number.to_be_bytes()));
    }

    /// A column of type smallint.
    pub fn smallint(&mut self, number: i16) {
        self.column(Some(&number.to_be_bytes()));
    }

    /// A column of type boolean.
    pub fn boolean(&mut self, is: bool) {
        self.column(Some(&[u8::from(is)]));
    }

    /// A column of type uuid.
    pub fn uuid(&mut self, id: Option<Uuid>) {
        self.column(id.as_ref().map(|id| id.as_bytes().as_slice()));
    }

    /// A column of another type, in that type's own binary form. Null: `None`.
    pub fn column(&mut self, bytes: Option<&[u8]>) {
        // Nothing of 2 GiB comes here: the records of a batch are far smaller.
        let length = bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.0.extend(length.to_be_bytes());
        self.0.extend(bytes.unwrap_or_default());
    }

    /// Sends them with a statement like `copy t (a, b) from stdin (format binary)`.
    ///
    /// # Errors
    /// What the database says of any of the rows; then it has taken none.
    pub async fn send(mut self, connection: &mut PgConnection, statement: &str) -> Result<u64, sqlx::Error> {
        self.0.extend(TRAILER);
        let mut copy = connection.copy_in_raw(statement).await?;
        for piece in self.0.chunks(PIECE) {
            copy.send(piece).await?;
        }
        copy.finish().await
    }
}
