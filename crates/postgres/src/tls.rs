//! TLS to the database.

use std::io;
use std::path::Path;
use std::sync::Arc;

use atomr_agents_state::StoreError;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio_postgres_rustls::MakeRustlsConnect;

/// A connector that checks the server's certificate and name. `file` names the certificates to trust; without it the
/// machine's are trusted, or those compiled in where the machine has none.
pub(crate) fn connector(file: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::Config { setting: "sslmode", message: error.to_string() })?
        .with_root_certificates(roots(file)?)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, StoreError> {
    let mut store = RootCertStore::empty();
    if let Some(path) = file {
        let bad =
            |why: String| StoreError::Config { setting: "sslrootcert", message: format!("{}: {why}", path.display()) };
        let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
        let (taken, _) = store.add_parsable_certificates(read().map_err(|error| bad(error.to_string()))?);
        return if taken > 0 { Ok(store) } else { Err(bad("it holds no certificate".to_owned())) };
    }
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(store)
}

/// Whether an error is about the server's certificate. Trying again does not help then.
pub(crate) fn refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidData)
            || error.downcast_ref::<rustls::Error>().is_some()
        {
            return true;
        }
        next = error.source();
    }
    false
}
