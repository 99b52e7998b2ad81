//! The schema's versions, and a database that is away.

mod support;

use confab_protocol::Cursor;
use confab_store::{Error, PostgresOptions, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use std::time::Duration;

const ALL: [&str; 19] = [
    "0001 history",
    "0002 hub",
    "0003 review",
    "0004 moderation",
    "0005 bans",
    "0006 held words",
    "0007 what is new comes last",
    "0008 audit",
    "0009 token revocations",
    "0010 held by sender",
    "0011 mark",
    "0012 keys by draft",
    "0013 held by draft",
    "0014 last of partition",
    "0015 marks of versions",
    "0020 rooms and members",
    "0021 marks of member versions",
    "0030 retention",
    "0035 titles of rooms",
];
/// The number of the last of them.
const NEWEST: i64 = 35;
/// What a later program would leave behind.
const LATER: &str = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
                     values (9000, 'later', true, {}, 0)";

async fn is_refused(store: &Store, newest: i64) {
    for error in [store.migrate().await.unwrap_err(), store.pending_migrations().await.unwrap_err()] {
        assert!(matches!(error, Error::Newer { found: 9000, known } if known == newest), "{error:?}");
        assert!(!error.temporary());
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::sqlite(&path).await.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), ALL);
    store.migrate().await.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), Vec::<String>::new());
    let mut connection =
        SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.expect("the file opens");
    sqlx::raw_sql(AssertSqlSafe(LATER.replace("{}", "x''"))).execute(&mut connection).await.unwrap();
    is_refused(&store, NEWEST).await;
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_postgres() {
    let database = support::Database::create().await;
    let store = database.store(2);
    assert_eq!(store.pending_migrations().await.unwrap(), ALL);
    store.migrate().await.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), Vec::<String>::new());
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(LATER.replace("{}", "''"))).execute(&mut connection).await.unwrap();
    is_refused(&store, NEWEST).await;
    store.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_store_reopened_has_what_was_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::sqlite(&path).await.unwrap();
    store.migrate().await.unwrap();
    support::apply(&store, &[support::message(1, (1, 1))]).await;
    store.next_generation(0).await.unwrap();
    store.close().await;
    let store = Store::sqlite(&path).await.unwrap();
    assert_eq!(support::words(&store, 1).await, r#""words of 1""#);
    assert_eq!(store.generation().await.unwrap(), 2);
}

#[tokio::test]
async fn a_commit_that_fails_in_the_end_leaves_a_doubt_and_an_error_before_it_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::sqlite(&path).await.unwrap();
    store.migrate().await.unwrap();
    let spoil = async |sql: &'static str| {
        let mut connection =
            SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    };
    // What a row refers to is looked for when the transaction is committed.
    spoil(
        "create table parents (id integer primary key);
         create table children (parent integer references parents (id) deferrable initially deferred);
         create trigger spoil after insert on events begin insert into children values (7); end",
    )
    .await;
    let among = [support::message(1, (1, 1)), support::edit(2, (1, 2), 1)];
    for batch in [&among[..1], &among[..]] {
        let doubt = store.apply(&support::entries(batch), &[]).await.unwrap_err();
        assert!(matches!(doubt, Error::InDoubt(_)), "{doubt:?}");
    }
    spoil("drop trigger spoil; create trigger spoil after insert on events begin select raise(abort, 'no'); end").await;
    let refused = store.apply(&support::entries(&among), &[]).await.unwrap_err();
    assert!(matches!(refused, Error::Query { .. }), "{refused:?}");
    spoil("drop trigger spoil").await;
    assert_eq!(support::apply(&store, &among).await.events, 2, "and it goes on");
}

#[tokio::test]
async fn a_row_that_is_malformed_is_told_as_a_place_and_its_neighbours_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::sqlite(&path).await.unwrap();
    store.migrate().await.unwrap();
    support::apply(&store, &[1, 2, 3].map(|n| support::message(u128::from(n), (1, n)))).await;
    let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&path)).await.unwrap();
    sqlx::raw_sql("update events set trail = '{' where seq = 2").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    for page in [support::forwards(&store, None, 10).await, support::backwards(&store, None, 10).await] {
        let mut served = support::places(&page);
        served.sort_unstable();
        assert_eq!((served, page.unreadable), (vec![(1, 1), (1, 3)], vec![Cursor::new(1, 2)]));
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_temporary_trouble() {
    // A port that was free a moment ago and that nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    all_is_temporary_trouble(port).await;
}

#[tokio::test]
async fn a_link_that_closes_before_the_database_says_a_word_is_temporary_trouble() {
    use tokio::io::AsyncReadExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut link, _)) = listener.accept().await {
            // The client's first word, so that it finds an end and not a broken link.
            let _ = link.read_exact(&mut [0; 8]).await;
        }
    });
    all_is_temporary_trouble(port).await;
}

async fn all_is_temporary_trouble(port: u16) {
    let store = Store::postgres(&PostgresOptions {
        url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        ca_file: None,
        connections: 2,
        timeout: Duration::from_millis(200),
    })
    .expect("a store is made while its database is away");
    let errors = [
        store.check().await.unwrap_err(),
        store.migrate().await.unwrap_err(),
        store.pending_migrations().await.unwrap_err(),
        store.apply(&[], &[]).await.unwrap_err(),
        store.through(&support::room()).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::Unavailable(_)) && error.temporary(), "{error:?}");
    }
}

#[tokio::test]
async fn a_url_that_is_none_is_refused_at_once() {
    let options = PostgresOptions {
        url: "postgres://localhost/x?sslmode=maybe".into(),
        ca_file: None,
        connections: 1,
        timeout: Duration::from_secs(1),
    };
    assert!(!Store::postgres(&options).unwrap_err().temporary());
}
