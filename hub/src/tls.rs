//! How the hub speaks TLS to servers that it asks over HTTP.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use std::path::Path;

/// The authorities that everybody trusts.
pub fn well_known() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// The authorities in a file, in PEM.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn of_file(path: &Path) -> Result<RootCertStore, String> {
    let failed = |error: String| format!("could not read authorities from {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))? {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("it holds no certificate".into())) } else { Ok(roots) }
}

/// A client that trusts these authorities, and shows no certificate of its own.
pub fn client(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions that are compiled in")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
