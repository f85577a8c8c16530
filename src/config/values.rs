//! What each setting's value must look like. Messages say what would be right and never repeat a secret.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey as _;
use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, Tokio1Executor};

use super::SETTINGS;
use crate::audit::note::LogKeys;
use crate::audit::witness::client::Witness;
use crate::domain::fee::page::PaymentPage;
use crate::permits::keys::PermitKeys;
use crate::registers::{REGISTER_FORM, Register};
use crate::webhook::{KEY_BYTES, Key};

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Shows the value to the one place that uses it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The form of the log's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: an object a line.
    Json,
}

/// A range of addresses, such as `10.0.0.0/8`; one address when written without a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    length: u32,
}

impl Network {
    /// Whether `address` is one of the network's. An IPv4 address that came over IPv6 counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                same(own.to_bits().into(), other.to_bits().into(), 32 - self.length)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                same(own.to_bits(), other.to_bits(), 128 - self.length)
            }
            _ => false,
        }
    }
}

fn same(a: u128, b: u128, host_bits: u32) -> bool {
    (a ^ b).checked_shr(host_bits).unwrap_or(0) == 0
}

pub(super) fn database_url(text: &str) -> Result<String, String> {
    let meaning = SETTINGS[0].meaning;
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let parsed = text.parse::<tokio_postgres::Config>().ok().filter(|_| is_url);
    let Some(parsed) = parsed else {
        return Err(format!("is not a PostgreSQL URL; write {meaning}"));
    };
    if parsed.get_hosts().is_empty() || parsed.get_dbname().is_none() {
        return Err(format!("names no host or no database; write {meaning}"));
    }
    if parsed.get_ssl_mode() == tokio_postgres::config::SslMode::Require {
        return Err(
            "asks for TLS, which the service does not speak to PostgreSQL; leave sslmode out and \
                    reach the database over a Unix socket, a private network or a local tunnel"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

pub(super) fn number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("is {text:?}; write a whole number from {least} to {most}"))
}

pub(super) fn rate(text: &str) -> Result<NonZeroU32, String> {
    let number = number(text, 1, 100_000)?;
    NonZeroU32::new(number).ok_or_else(|| "must not be zero".to_owned())
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("is {text:?}; write an IP address and a port, such as 127.0.0.1:8080 or [::]:8080")
    })
}

pub(super) fn public_url(text: &str) -> Result<String, String> {
    let url = text.strip_suffix('/').unwrap_or(text);
    let (scheme, host) = web_origin(url)
        .ok_or_else(|| format!("is {text:?}; write https://host, without a path or a query"))?;
    let here = ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        host.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    });
    if scheme == "http" && !here {
        return Err(format!(
            "is {text:?}; people send personal data there, so it must be https://"
        ));
    }
    Ok(url.to_owned())
}

/// Reads the address of a payment page.
pub(super) fn payment_page(text: &str) -> Result<PaymentPage, String> {
    PaymentPage::parse(text)
}

pub(super) fn origin(text: &str) -> Result<String, String> {
    web_origin(text).map(|_| text.to_owned()).ok_or_else(|| {
        format!(
            "has {text:?}; write origins such as https://portal.example.org, without a path or `*`"
        )
    })
}

/// Takes `scheme://host[:port]` apart.
fn web_origin(text: &str) -> Option<(&str, &str)> {
    let (scheme, host) = text.split_once("://")?;
    let parsed: actix_web::http::Uri = text.parse().ok()?;
    let plain = parsed.authority()?.as_str() == host && !host.contains('@');
    let spelt = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    (["http", "https"].contains(&scheme) && plain && spelt).then_some((scheme, host))
}

pub(super) fn token_key_file(text: &str) -> Result<String, String> {
    let make = "make one with `openssl genpkey -algorithm ed25519 -out token-key.pem`";
    let pem = std::fs::read_to_string(text)
        .map_err(|error| format!("names {text}, which cannot be read ({error}); {make}"))?;
    SigningKey::from_pkcs8_pem(&pem)
        .map_err(|_| format!("names {text}, which has no Ed25519 key as PKCS#8 in PEM; {make}"))?;
    Ok(pem)
}

pub(super) fn webhook_secret(text: &str) -> Result<Vec<u8>, String> {
    let key = Key::parse(text).map_err(|error| {
        format!(
            "has {error}; write whsec_ followed by at least {KEY_BYTES} bytes in base64, as the payment provider shows it"
        )
    })?;
    Ok(key.bytes().to_vec())
}

/// Reads a register: its name, its URL, the secrets shared with it, and how long it has for an answer.
pub(super) fn register(text: &str) -> Result<Register, String> {
    // The entry itself holds a secret.
    Register::parse(text).map_err(|error| format!("has {error}; write {REGISTER_FORM}"))
}

/// Reads the keys of the log from a file.
pub(super) fn log_key_file(text: &str) -> Result<String, String> {
    let make = "make one with `propusk audit key new NAME FILE`";
    let keys = std::fs::read_to_string(text)
        .map_err(|error| format!("names {text}, which cannot be read ({error}); {make}"))?;
    LogKeys::parse(&keys)
        .map_err(|error| format!("names {text}, which has no key of a log ({error}); {make}"))?;
    Ok(keys)
}

/// Reads the keys of the log as they stand. The parser's words never repeat a key.
pub(super) fn log_key(text: &str) -> Result<String, String> {
    LogKeys::parse(text).map_err(|error| {
        format!("has no key of a log ({error}); write what `propusk audit key new` writes")
    })?;
    Ok(text.to_owned())
}

/// Reads the keys of permits from a file.
pub(super) fn permit_key_file(text: &str) -> Result<String, String> {
    let make = "make one with `propusk permit key new FILE`";
    let keys = std::fs::read_to_string(text)
        .map_err(|error| format!("names {text}, which cannot be read ({error}); {make}"))?;
    PermitKeys::parse(&keys)
        .map_err(|error| format!("names {text}, which has no keys to use ({error}); {make}"))?;
    Ok(keys)
}

/// Reads the keys of permits as they stand. The parser's words never repeat a key.
pub(super) fn permit_key(text: &str) -> Result<String, String> {
    PermitKeys::parse(text).map_err(|error| {
        format!("has no keys to use ({error}); write what `propusk permit key new` writes")
    })?;
    Ok(text.to_owned())
}

/// Reads a witness: its verifier key and its URL.
pub(super) fn witness(text: &str) -> Result<Witness, String> {
    Witness::parse(text).map_err(|error| {
        format!("has {text:?}: {error}; write the witness's verifier key, a space, and its URL")
    })
}

pub(super) fn smtp_url(text: &str) -> Result<String, String> {
    let known = text.starts_with("smtp://") || text.starts_with("smtps://");
    // The library's own words could repeat the password.
    if !known || AsyncSmtpTransport::<Tokio1Executor>::from_url(text).is_err() {
        return Err("is not a mail server's URL; write smtps://user:password@host or \
                    smtp://user:password@host:587?tls=required (with @ and / in a password as %40 and %2F)"
            .to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| {
        format!("is {text:?}; write an address, such as Work permits <noreply@example.org>")
    })
}

pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() {
        return Ok(path);
    }
    let is = if path.exists() { "is not a directory" } else { "does not exist" };
    Err(format!("names {text}, which {is}; name a directory that the service may write to"))
}

/// Reads a network, or says what would be right.
///
/// # Errors
/// What is wrong, in words that follow the setting's name.
pub fn network(text: &str) -> Result<Network, String> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, length.parse::<u32>().ok()),
        None => (text, Some(u32::MAX)),
    };
    let parsed = address.parse::<IpAddr>().ok().zip(length).and_then(|(address, length)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = if length == u32::MAX { most } else { length };
        (length <= most).then_some(Network { address, length })
    });
    parsed.ok_or_else(|| {
        format!("has {text:?}; write addresses or networks, such as 10.0.0.0/8 or ::1")
    })
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|_| {
        format!("is {text:?}; write a level or levels by module, such as info,propusk=debug")
    })
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("is {other:?}; write text or json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_its_addresses_and_no_others() {
        let ten = network("10.0.0.0/8").unwrap();
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        assert!(ten.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!ten.contains("::1".parse().unwrap()));
        let all = network("::/0").unwrap();
        assert!(all.contains("2001:db8::1".parse().unwrap()));
        assert!(!network("::1").unwrap().contains("::2".parse().unwrap()));
        for wrong in ["10.0.0.0/33", "ten", "10.0.0.0/", "", "::1/129"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_has_no_path_no_user_and_no_star() {
        assert!(origin("https://portal.example.org:8443").is_ok());
        for wrong in
            ["*", "https://*", "https://a/b", "https://u@a", "ftp://a", "https://", "https://a/"]
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
        assert!(public_url("http://localhost:8080/").is_ok());
        assert!(public_url("http://localhost.example.org").is_err());
    }
}
