//! Logging: where it goes and in which form, and how an error's chain of causes is written.

use std::error::Error as StdError;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::config::LogFormat;
use crate::error::{Error, Result};

/// Sends what is logged to the standard error, filtered by `filter` (`info,propusk=debug` and the like).
///
/// # Errors
/// [`Error::Internal`] when `filter` is not one, or when logging was set up before.
pub fn init(filter: &str, format: LogFormat) -> Result<()> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Error::internal(format!("{filter:?} is not a log filter"), error))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_span_events(FmtSpan::NONE);
    let outcome = match format {
        LogFormat::Text => {
            builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    outcome.map_err(|error| Error::internal("logging is already set up", error))
}

/// Writes `error` and all its causes in one line, each after a colon.
///
/// A cause that its error repeats at its end is not written twice.
#[must_use]
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_every_cause_once() {
        let inner = std::io::Error::other("disk on fire");
        let error =
            Error::internal("cannot store the passport", Error::internal("disk on fire", inner));
        assert_eq!(chain(&error), "cannot store the passport: disk on fire");
        let error = Error::internal("cannot store the passport", std::io::Error::other("no space"));
        assert_eq!(chain(&error), "cannot store the passport: no space");
    }
}
