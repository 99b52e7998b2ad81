//! PostgreSQL over TLS, as a hosted one demands it. (Redis and Kafka over TLS: `hub/tests/timeline`, `hub/tests/journal`.)

use anyhow::{Context, Result};
use confab_tests::eventually;
use confab_tests::process::Running;
use confab_tests::world::service;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sqlx::{Connection, PgConnection, Row};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use xtask::services::{Postgres, postgres};

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(vec![])?;
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// Gives a running server a certificate for 127.0.0.1 and turns TLS on.
async fn turn_tls_on(address: &str, authority: &CertifiedIssuer<'static, KeyPair>) -> Result<()> {
    let mut connection = PgConnection::connect(address).await?;
    let data: String = sqlx::query("show data_directory").fetch_one(&mut connection).await?.try_get(0)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, authority)?;
    let owner = std::fs::metadata(&data)?;
    for (name, text) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
        let file = Path::new(&data).join(name);
        std::fs::write(&file, text)?;
        chown(&file, Some(owner.uid()), Some(owner.gid()))?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    }
    sqlx::query("alter system set ssl = on").execute(&mut connection).await?;
    sqlx::query("select pg_reload_conf()").execute(&mut connection).await?;
    eventually("TLS is on", async || {
        let on: String = sqlx::query("show ssl").fetch_one(&mut connection).await.ok()?.try_get(0).ok()?;
        (on == "on").then_some(())
    })
    .await;
    Ok(())
}

fn migrate(folder: &Path, name: &str, postgres: &str, ca: &Path) -> Result<(bool, String)> {
    let (redis, kafka) = (service("CONFAB_TEST_REDIS")?, service("CONFAB_TEST_KAFKA")?);
    let prefix = format!("tls{}", std::process::id());
    let url = format!("{postgres}?sslmode=verify-full");
    let hub = Running::new(folder, name, "confab", |listen, admin| {
        format!(
            "listen = \"{listen}\"\nadmin = \"{admin}\"\n[auth]\ninsecure = true\n\
             [timeline.redis]\nurl = \"{redis}\"\nprefix = \"{prefix}\"\n\
             [journal.kafka]\nbrokers = [\"{kafka}\"]\ntopic_prefix = \"{prefix}\"\n\
             [store.postgres]\nurl = \"{url}\"\nca_file = \"{}\"\n",
            ca.display()
        )
    })?;
    let (status, out, err) = hub.verb(&["migrate"])?;
    Ok((status.success(), format!("{out}{err}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_reached_over_tls_and_an_unknown_authority_is_not_believed() -> Result<()> {
    let folder = TempDir::with_prefix("confab-tls-")?;
    let home = tempfile_for_postgres(&folder)?;
    let server = tokio::task::spawn_blocking(move || Postgres::start(&home, postgres::Options::for_tests())).await??;
    let (ours, theirs) = (authority("ours")?, authority("theirs")?);
    turn_tls_on(&server.address(), &ours).await?;
    let write = |name: &str, issuer: &CertifiedIssuer<'static, KeyPair>| -> Result<PathBuf> {
        let file = folder.path().join(name);
        std::fs::write(&file, issuer.pem())?;
        Ok(file)
    };
    let (right, wrong) = (write("right.pem", &ours)?, write("wrong.pem", &theirs)?);

    let (done, said) = migrate(folder.path(), "wrong", &server.address(), &wrong)?;
    assert!(!done && said.contains("certificate"), "{said}");
    let (done, said) = migrate(folder.path(), "right", &server.address(), &right)?;
    assert!(done, "{said}");
    let mut connection = PgConnection::connect(&server.address()).await.context("look at what was made")?;
    let tables = sqlx::query("select 1 from information_schema.tables where table_name = 'events'");
    assert!(tables.fetch_optional(&mut connection).await?.is_some());
    Ok(())
}

/// PostgreSQL runs as a user of its own, who must be able to reach its folder.
fn tempfile_for_postgres(folder: &TempDir) -> Result<PathBuf> {
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(folder.path().join("postgres"))
}
