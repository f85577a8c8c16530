//! The keys of an office that is only measured, and the settings with which this process works on its database.

use std::path::Path;

use propusk::audit::note::LogKey;
use propusk::clock::{Clock as _, SystemClock};
use propusk::config::{Config, DemoConfig};
use propusk::permits::keys::PermitKeys;

/// The example key of RFC 8037, appendix A.
pub const TOKEN_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

/// What the payment provider signs with.
pub const SECRET: &[u8] = b"measured-and-nothing-else-32-byte";

/// Gives the key that signs the log, as a file holds it.
pub fn log_key() -> String {
    LogKey::generate("bench.example/log", [3; 32]).unwrap().private_line() + "\n"
}

/// Gives the key that signs permits, as a file holds it.
pub fn permit_key() -> String {
    PermitKeys::generate([4; 32], SystemClock.now(), None).private_text()
}

/// Gives the settings for the database of `url`; what is kept in files goes under `dir`.
pub fn config(url: &str, dir: &Path) -> Config {
    let config = Config::demo(DemoConfig {
        database_url: url.to_owned(),
        port: 0,
        data_dir: dir.to_owned(),
        token_key: TOKEN_KEY.to_owned(),
        payment_webhook_secret: SECRET.to_vec(),
        log_key: log_key(),
        permit_key: permit_key(),
    });
    config.unwrap()
}
