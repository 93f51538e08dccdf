//! The one TLS provider of the process.

/// Every HTTP client needs one, even one that speaks over a Unix socket. A second call changes nothing.
pub fn install() {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
