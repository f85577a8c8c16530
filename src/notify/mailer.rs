//! Sends e-mail: by SMTP, or into a folder where there is no server (the demo, tests).

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::Email;
use crate::error::{Error, Result};
use crate::telemetry::chain;

/// How long one message may take; a server that says nothing holds up one job, not the worker.
const SEND_LIMIT: Duration = Duration::from_secs(40);

/// How long one answer of the server may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// Connections kept to the server.
const CONNECTIONS: u32 = 4;

/// Sends messages.
#[derive(Debug, Clone)]
pub enum Mailer {
    /// To a mail server.
    Smtp {
        /// The connections.
        transport: AsyncSmtpTransport<Tokio1Executor>,
        /// The sender.
        from: Mailbox,
    },
    /// Into a folder, one `.eml` file each.
    Directory {
        /// The folder.
        dir: PathBuf,
        /// The sender.
        from: Mailbox,
    },
}

/// What the server said when it took a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Under what the server (or the folder) knows the message.
    pub provider_id: String,
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct MailError {
    /// Whether trying again is useless: the address itself was refused.
    pub permanent: bool,
    /// In words, for the log and the delivery table.
    pub reason: String,
}

impl MailError {
    fn transient(reason: impl Into<String>) -> Self {
        Self { permanent: false, reason: reason.into() }
    }
}

impl Mailer {
    /// Makes a mailer to the server at `url`: `smtps://user:password@host` or
    /// `smtp://user:password@host:587?tls=required`. Connects when the first message is sent.
    ///
    /// # Errors
    /// [`Error::Internal`] when the URL cannot be understood; it is not repeated, because it holds a password.
    pub fn smtp(url: &str, from: Mailbox) -> Result<Self> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|error| Error::internal("the URL of the mail server is not usable", error))?
            .timeout(Some(ANSWER_LIMIT))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS))
            .build();
        Ok(Self::Smtp { transport, from })
    }

    /// Makes a mailer into the folder `dir`, which is made when the first message is sent.
    #[must_use]
    pub fn directory(dir: impl Into<PathBuf>, from: Mailbox) -> Self {
        Self::Directory { dir: dir.into(), from }
    }

    /// Sends one message. It can arrive twice when the server's answer is lost, with the same `Message-ID`.
    ///
    /// # Errors
    /// [`MailError`] says whether trying again makes sense.
    pub async fn send(&self, email: &Email) -> Result<Delivery, MailError> {
        match self {
            Self::Smtp { transport, from } => {
                let message = message(email, from)?;
                let answer = tokio::time::timeout(SEND_LIMIT, transport.send(message))
                    .await
                    .map_err(|_| MailError::transient("the mail server did not answer in time"))?
                    .map_err(|error| smtp_error(&error, email))?;
                let text = answer.message().collect::<Vec<_>>().join(" ");
                Ok(Delivery { provider_id: text.chars().take(200).collect() })
            }
            Self::Directory { dir, from } => {
                let bytes = message(email, from)?.formatted();
                // A delivery that is repeated replaces the file instead of adding one.
                let name = format!("{}.eml", email.message_id.replace(['/', '\\'], "_"));
                write_whole(dir, &name, bytes).await.map_err(|error| {
                    MailError::transient(format!("cannot write the message: {error}"))
                })?;
                Ok(Delivery { provider_id: name })
            }
        }
    }
}

fn message(email: &Email, from: &Mailbox) -> Result<Message, MailError> {
    let broken = |error: &dyn std::error::Error| MailError {
        permanent: true,
        reason: format!("the message cannot be put together: {error}"),
    };
    let to = email.to.as_str().parse().map_err(|error| broken(&error))?;
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(email.subject.clone())
        .date(SystemTime::from(email.at))
        .message_id(Some(format!("<{}>", email.message_id)))
        // So that no absence note comes back (RFC 3834).
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("Content-Language", email.language))
        .singlepart(SinglePart::plain(email.body.clone()))
        .map_err(|error| broken(&error))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn smtp_error(error: &lettre::transport::smtp::Error, email: &Email) -> MailError {
    // Servers like to repeat the address; the reason goes to logs and to jobs, where no address belongs.
    let reason = chain(error).replace(email.to.as_str(), "recipient");
    let permanent = error.is_permanent()
        && error.status().is_some_and(|code| refuses_recipient(u16::from(code), &reason));
    MailError { permanent, reason }
}

/// Tells whether an answer refuses this recipient rather than us.
///
/// A wrong password, a refused sender or a policy against our host are answered with 5xx, too; they are mended
/// by an administrator, after which the same message goes through.
fn refuses_recipient(code: u16, text: &str) -> bool {
    const RECIPIENT: [u16; 5] = [550, 551, 552, 553, 556];
    // RFC 3463: 5.1.7 and 5.1.8 speak of the sender, 5.7 of policy.
    let ours = text
        .split_whitespace()
        .any(|word| word.starts_with("5.7.") || word == "5.1.7" || word == "5.1.8");
    RECIPIENT.contains(&code) && !ours
}

async fn write_whole(dir: &std::path::Path, name: &str, bytes: Vec<u8>) -> std::io::Result<()> {
    tokio::fs::create_dir_all(dir).await?;
    let partial = dir.join(format!(".{name}.part"));
    tokio::fs::write(&partial, bytes).await?;
    tokio::fs::rename(&partial, dir.join(name)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::EmailAddress;

    fn email() -> Email {
        Email {
            to: EmailAddress::parse("worker@example.org").unwrap(),
            subject: "Заявление: принято".to_owned(),
            body: "Ваше заявление принято.\n".to_owned(),
            language: "ru",
            message_id: "0190.accepted@example.org".to_owned(),
            at: "2026-03-02T09:00:00Z".parse().unwrap(),
        }
    }

    fn sender() -> Mailbox {
        "Permit Office <office@example.org>".parse().unwrap()
    }

    #[tokio::test]
    async fn a_message_sent_twice_into_a_folder_is_one_file() {
        let dir = std::env::temp_dir().join(format!("propusk-mail-{}", std::process::id()));
        let mailer = Mailer::directory(&dir, sender());
        let first = mailer.send(&email()).await.unwrap();
        assert_eq!(mailer.send(&email()).await.unwrap(), first);
        let names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(names, [dir.join("0190.accepted@example.org.eml")]);
        let text = std::fs::read_to_string(&names[0]).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        for wanted in [
            "Message-ID: <0190.accepted@example.org>",
            "Date: Mon, 02 Mar 2026 09:00:00 +0000",
            "To: worker@example.org",
            "Auto-Submitted: auto-generated",
            "Content-Language: ru",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }

    #[test]
    fn only_a_refused_recipient_is_permanent() {
        assert!(refuses_recipient(550, "permanent error (550): 5.1.1 no such user"));
        assert!(refuses_recipient(553, "permanent error (553): mailbox name not allowed"));
        assert!(!refuses_recipient(535, "permanent error (535): 5.7.8 wrong password"));
        assert!(!refuses_recipient(550, "permanent error (550): 5.1.8 sender refused"));
        assert!(!refuses_recipient(550, "permanent error (550): 5.7.1 relaying denied"));
        assert!(!refuses_recipient(554, "permanent error (554): no service here"));
    }

    #[test]
    fn a_wrong_url_does_not_give_its_password_away() {
        let error = Mailer::smtp("smtp2://user:secret@host", sender()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}
