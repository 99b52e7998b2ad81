//! The schema: which migrations the program has, and which the database.

use crate::{Error, Store};
use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::{Executor, SqlSafeStr};
use std::sync::LazyLock;

/// The migrations of one database. They are listed by name, and a test says which file of the folder is not: sqlx's macro,
/// which reads the folder, would have its drivers compiled a second time.
macro_rules! migrator {
    ($folder:literal: $($name:literal),* $(,)?) => {
        LazyLock::new(|| Migrator::with_migrations(vec![
            $(migration($name, include_str!(concat!("../../migrations/", $folder, "/", $name, ".sql")))),*
        ]))
    };
}

static SQLITE: LazyLock<Migrator> = migrator! {
    "sqlite":
    "0001_history",
    "0002_hub",
    "0003_review",
    "0004_moderation",
    "0005_bans",
    "0006_held_words",
    "0007_what_is_new_comes_last",
    "0008_audit",
    "0009_token_revocations",
    "0010_held_by_sender",
    "0011_mark",
    "0012_keys_by_draft",
    "0013_held_by_draft",
    "0014_last_of_partition",
    "0015_marks_of_versions",
    "0020_rooms_and_members",
    "0021_marks_of_member_versions",
    "0030_retention",
    "0035_titles_of_rooms",
};
static POSTGRES: LazyLock<Migrator> = migrator! {
    "postgres":
    "0001_history",
    "0002_hub",
    "0003_review",
    "0004_moderation",
    "0005_bans",
    "0006_held_words",
    "0007_what_is_new_comes_last",
    "0008_audit",
    "0009_token_revocations",
    "0010_held_by_sender",
    "0011_mark",
    "0012_keys_by_draft",
    "0013_held_by_draft",
    "0014_last_of_partition",
    "0015_marks_of_versions",
    "0020_rooms_and_members",
    "0021_marks_of_member_versions",
    "0030_retention",
    "0035_titles_of_rooms",
};

/// `0001_history` is version 1 with the description `history`.
fn migration(name: &'static str, sql: &'static str) -> Migration {
    let (version, description) = name.split_once('_').expect("a migration is named NUMBER_DESCRIPTION");
    let version = version.parse().expect("a migration's name begins with its number");
    let description = description.replace('_', " ").into();
    Migration::new(version, description, MigrationType::Simple, sql.into_sql_str(), false)
}

/// The table in which migrations are noted; sqlx's own name for it.
const TABLE: &str = "_sqlx_migrations";

impl Store {
    /// Brings the schema to what this program needs. Of several that call it at once, one works and the others wait.
    ///
    /// # Errors
    /// [`Error::Newer`] if a newer program made the schema; [`Error::Migrate`] if a migration fails, or one that was
    /// applied is not the one that this program has.
    pub async fn migrate(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite(sqlite) => {
                let mut connection = sqlite.writer.acquire().await.map_err(|error| Error::sort("migrate", error))?;
                not_newer(&SQLITE, &applied(&mut *connection).await?)?;
                SQLITE.run_direct(None, &mut *connection, false).await.map_err(sort)
            }
            Self::Postgres(postgres) => {
                // A connection of its own, closed in the end: a failed migration leaves the lock with its connection,
                // and a migration may take longer than a statement may.
                let connection = postgres.pool.acquire().await.map_err(|error| Error::sort("migrate", error))?;
                let mut connection = connection.detach();
                let unbounded = connection.execute("reset all; set statement_timeout = 0").await;
                unbounded.map_err(|error| Error::sort("migrate", error))?;
                not_newer(&POSTGRES, &applied(&mut connection).await?)?;
                POSTGRES.run_direct(None, &mut connection, false).await.map_err(sort)
            }
        }
    }

    /// The names of the migrations that [`Store::migrate`] would apply.
    ///
    /// # Errors
    /// [`Error::Newer`] if a newer program made the schema; [`Error::Unavailable`] if the database does not answer.
    pub async fn pending_migrations(&self) -> Result<Vec<String>, Error> {
        self.within(async {
            let (migrator, applied) = match self {
                Self::Sqlite(sqlite) => {
                    let connection = sqlite.writer.acquire().await;
                    let mut connection = connection.map_err(|error| Error::sort("list migrations", error))?;
                    (&SQLITE, applied(&mut *connection).await?)
                }
                Self::Postgres(postgres) => {
                    let connection = postgres.pool.acquire().await;
                    let mut connection = connection.map_err(|error| Error::sort("list migrations", error))?;
                    (&POSTGRES, applied(&mut *connection).await?)
                }
            };
            not_newer(migrator, &applied)?;
            let pending = migrator.iter().filter(|migration| !applied.contains(&migration.version));
            Ok(pending.map(|migration| format!("{:04} {}", migration.version, migration.description)).collect())
        })
        .await
    }
}

/// The versions that the database has.
async fn applied(connection: &mut impl Migrate) -> Result<Vec<i64>, Error> {
    connection.ensure_migrations_table(TABLE).await.map_err(sort)?;
    let applied = connection.list_applied_migrations(TABLE).await.map_err(sort)?;
    Ok(applied.into_iter().map(|migration| migration.version).collect())
}

fn not_newer(migrator: &Migrator, applied: &[i64]) -> Result<(), Error> {
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    match applied.iter().copied().max() {
        Some(found) if found > known => Err(Error::Newer { found, known }),
        _ => Ok(()),
    }
}

/// A database that is away is not a migration that failed.
fn sort(error: sqlx::migrate::MigrateError) -> Error {
    match error {
        sqlx::migrate::MigrateError::Execute(error) => match Error::sort("read the schema's version", error) {
            unavailable @ Error::Unavailable(_) => unavailable,
            Error::Query { source, .. } => Error::Migrate(sqlx::migrate::MigrateError::Execute(source)),
            other => other,
        },
        other => Error::Migrate(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_migrations_is_listed_with_its_text() {
        for (folder, migrator) in [("sqlite", &SQLITE), ("postgres", &POSTGRES)] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations").join(folder);
            let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            let found: Vec<_> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
            let listed: Vec<_> = migrator.iter().map(|migration| migration.sql.as_str()).collect();
            assert_eq!(listed, found);
            let versions: Vec<_> = migrator.iter().map(|migration| migration.version).collect();
            assert!(versions.is_sorted_by(|earlier, later| earlier < later), "{versions:?}");
        }
    }
}
