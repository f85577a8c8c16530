//! A witness of other people's logs, after C2SP tlog-witness: cosigns what continues all it has seen, and nothing else.
//!
//! It needs no database. Its state is a directory with the last checkpoint that it cosigned for each log; a checkpoint
//! is on the disk before its cosignature leaves. Whoever loses the directory must take a new key: an empty one knows
//! of no log, and would cosign a fork.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, web};
use sha2::{Digest as _, Sha256};

use crate::audit::checkpoint::Checkpoint;
use crate::audit::file::{self, Readers};
use crate::audit::note::{self, LONGEST_NOTE, LogKeys, SignatureType, VerifierKey};
use crate::audit::witness::{AddCheckpoint, Refusal, RequestError, decide};
use crate::clock::SharedClock;
use crate::error::{Error, Result};
use crate::telemetry;

/// The largest request that is read, in bytes: a proof and a checkpoint with many signatures, some of them long.
const LARGEST_REQUEST: usize = 256 * 1024;

/// What a [`Witness`] is made of.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its keys; each cosigns.
    pub keys: LogKeys,
    /// The keys (type 0x01) of the logs that it knows.
    pub logs: Vec<VerifierKey>,
    /// Where it keeps what it has seen.
    pub directory: PathBuf,
}

/// Cosigns checkpoints, one after the other.
pub struct Witness {
    keys: LogKeys,
    logs: Vec<VerifierKey>,
    directory: PathBuf,
    clock: SharedClock,
    /// What was cosigned last for each origin. Held while a decision is made and kept: of two at the same time, the
    /// second sees the outcome of the first.
    last: Mutex<HashMap<String, Kept>>,
    /// Held while the process lives: a second witness on the same directory could cosign a fork of what this one saw.
    _lock: File,
}

/// The last checkpoint that was cosigned for a log.
struct Kept {
    checkpoint: Checkpoint,
    /// As it was kept and is shown: with the log's signatures and the cosignatures.
    note: String,
}

impl Witness {
    /// Takes up what was seen before from the directory, which is made when it is missing.
    ///
    /// # Errors
    /// [`Error::Internal`] when the directory cannot be used, another witness uses it, what it holds is damaged, or no
    /// log can be known by its keys.
    pub fn open(options: Options, clock: SharedClock) -> Result<Self> {
        let Options { keys, logs, directory } = options;
        if let Some(key) = logs.iter().find(|key| key.kind() != SignatureType::Ed25519) {
            return Err(Error::bug(format!(
                "the key of the log {} is not one that logs sign with (type 0x01)",
                key.name()
            )));
        }
        let unusable = |error| {
            Error::internal(format!("cannot use the directory {}", directory.display()), error)
        };
        fs::create_dir_all(&directory).map_err(unusable)?;
        let path = directory.join("lock");
        let lock = OpenOptions::new().create(true).append(true).open(&path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let taken = format!("another witness uses the directory {}", directory.display());
                return Err(Error::bug(taken));
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let mut last = HashMap::new();
        for log in &logs {
            if let Some(kept) = load(&directory.join(name_of(log.name())), log.name(), &keys)? {
                last.insert(log.name().to_owned(), kept);
            }
        }
        Ok(Self { keys, logs, directory, clock, last: Mutex::new(last), _lock: lock })
    }

    /// Answers a request `add-checkpoint`: gives the cosignature lines, after the checkpoint was kept.
    ///
    /// # Errors
    /// The outer error when the checkpoint cannot be kept; the inner one when it is refused.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<Result<String, Refusal>> {
        let request = str::from_utf8(body).map_err(|_| RequestError::Checkpoint);
        let request = match request.and_then(AddCheckpoint::parse) {
            Ok(request) => request,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |origin: &str| last.get(origin).map(|kept| kept.checkpoint.clone());
        let signed = match decide(&request, &self.logs, known) {
            Ok(signed) => signed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let at = u64::try_from(self.clock.now().timestamp()).unwrap_or(0);
        let cosignatures: String =
            self.keys.keys().iter().map(|key| key.cosignature_line(&signed.text, at)).collect();
        let by_the_log: String =
            signed.signatures.iter().map(|one| format!("{}\n", one.line)).collect();
        let failed = |error: note::NoteError| Error::internal("cannot write a checkpoint", error);
        let note =
            note::join(&signed.text, &format!("{by_the_log}{cosignatures}")).map_err(failed)?;
        let checkpoint = signed.checkpoint;
        let path = self.directory.join(name_of(&checkpoint.origin));
        file::replace(&path, note.as_bytes(), Readers::Everyone)
            .map_err(|error| Error::internal("cannot keep a checkpoint", error))?;
        last.insert(checkpoint.origin.clone(), Kept { checkpoint, note });
        Ok(Ok(cosignatures))
    }

    /// Gives the last checkpoint that was cosigned for the log whose origin has this SHA-256 in lower-case hexadecimal.
    #[must_use]
    pub fn checkpoint(&self, origin_hash: &str) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, kept) = last.iter().find(|(origin, _)| name_of(origin) == origin_hash)?;
        Some(kept.note.clone())
    }
}

/// Gives the name of a log's file, and of its path: the SHA-256 of its origin in lower-case hexadecimal.
fn name_of(origin: &str) -> String {
    Sha256::digest(origin).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what was cosigned last for a log; it must carry a cosignature of one of the witness's own keys.
fn load(path: &Path, origin: &str, keys: &LogKeys) -> Result<Option<Kept>> {
    let note = match file::read_text(path, LONGEST_NOTE) {
        Ok(note) => note,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::internal(format!("cannot read {}", path.display()), error));
        }
    };
    let damaged = |why: String| {
        Error::bug(format!(
            "{} is not the checkpoint of {origin} that this witness cosigned last: {why}",
            path.display()
        ))
    };
    let own: Vec<VerifierKey> = keys.keys().iter().map(note::LogKey::cosigner_verifier).collect();
    let opened = note::open(&note, &own).map_err(|error| damaged(error.to_string()))?;
    let checkpoint = Checkpoint::parse(&opened.text).map_err(|error| damaged(error.to_string()))?;
    if checkpoint.origin != origin {
        return Err(damaged(format!("it is of {}", checkpoint.origin)));
    }
    Ok(Some(Kept { checkpoint, note }))
}

/// Serves a witness on `listener` until the process is told to stop; then finishes what runs.
///
/// # Errors
/// [`Error::Internal`] when the listener cannot be used.
pub async fn serve(witness: Witness, listener: TcpListener) -> Result<()> {
    let witness = web::Data::from(Arc::new(witness));
    let failed = |error| Error::internal("cannot serve the witness", error);
    HttpServer::new(move || {
        App::new()
            .app_data(witness.clone())
            .app_data(web::PayloadConfig::new(LARGEST_REQUEST))
            .service(web::resource("/add-checkpoint").post(add_checkpoint))
            .service(web::resource("/{origin}/checkpoint").get(checkpoint))
    })
    .workers(2)
    .client_request_timeout(Duration::from_secs(15))
    .shutdown_timeout(10)
    .listen(listener)
    .map_err(failed)?
    .run()
    .await
    .map_err(failed)
}

async fn add_checkpoint(body: web::Bytes, witness: web::Data<Witness>) -> HttpResponse {
    // The decision waits for the one before it, and for the disk.
    let outcome = web::block(move || witness.add_checkpoint(&body)).await;
    match outcome.map_err(|error| Error::internal("a decision was broken off", error)).flatten() {
        Ok(Ok(lines)) => HttpResponse::Ok().content_type(ContentType::plaintext()).body(lines),
        Ok(Err(Refusal::Conflict { size })) => {
            HttpResponse::Conflict().content_type("text/x.tlog.size").body(format!("{size}\n"))
        }
        Ok(Err(refusal)) => {
            // Either the proof was wrong, or the log signed what it must not: then this is the evidence.
            if let Refusal::Inconsistent { evidence, .. } = &refusal {
                tracing::warn!(%refusal, %evidence, "a signed checkpoint was not cosigned");
            }
            let status = StatusCode::from_u16(refusal.status());
            HttpResponse::build(status.unwrap_or(StatusCode::BAD_REQUEST))
                .content_type(ContentType::plaintext())
                .body(format!("{refusal}\n"))
        }
        Err(error) => {
            tracing::error!(error = %telemetry::chain(&error), "nothing was cosigned");
            HttpResponse::InternalServerError().finish()
        }
    }
}

async fn checkpoint(origin: web::Path<String>, witness: web::Data<Witness>) -> HttpResponse {
    match witness.checkpoint(&origin) {
        Some(note) => HttpResponse::Ok().content_type(ContentType::plaintext()).body(note),
        None => HttpResponse::NotFound()
            .content_type(ContentType::plaintext())
            .body("no checkpoint of such a log was cosigned here\n"),
    }
}
