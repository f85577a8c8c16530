//! A database for each test, copied from a template that is migrated once.
//!
//! The server is private to this process and ends with it, or is the one of `PROPUSK_TEST_DATABASE_URL`. It
//! lives in a thread of its own that never ends: each test has its own runtime, and no test's may be needed by
//! another. What earlier test processes left behind is removed first.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};

use propusk::clock::{Clock, SystemClock};
use propusk::demo::postgres::{self, PostgresOptions, PrivatePostgres};
use propusk::storage::migrate;
use tokio::sync::mpsc;
use tokio_postgres::NoTls;

const PREFIX: &str = "propusk_test_";

/// A migrated database that nobody else uses.
pub struct TestDatabase {
    name: String,
    url: String,
}

impl TestDatabase {
    /// Copies the template, after starting the server if this is the first.
    pub async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let server = server();
        let name = format!("{}{}", server.prefix, NEXT.fetch_add(1, Ordering::Relaxed));
        postgres::create_database(&server.admin_url, &name, Some(&server.template)).await.unwrap();
        Self { url: with_database(&server.admin_url, &name), name }
    }

    /// The database's URL, as the owner.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Best effort: the server or the next run throws away what is still there at the end.
        let _ = server().dropped.send(std::mem::take(&mut self.name));
    }
}

/// A directory for one test, empty, removed with the other leftovers.
pub fn test_dir(name: &str) -> PathBuf {
    let dir = own_dir().join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

struct Server {
    admin_url: String,
    template: String,
    prefix: String,
    dropped: mpsc::UnboundedSender<String>,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let (ready, started) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("test-postgres".to_owned())
            .spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(keep(&ready));
            })
            .unwrap();
        started.recv().expect("the thread of the test database ended; its message is above")
    })
}

/// Starts the server, makes the template, and drops databases from then on.
async fn keep(ready: &std::sync::mpsc::Sender<Server>) {
    // Held until the process ends; then the server notices the end of its pipe.
    let (admin_url, _private) = match std::env::var("PROPUSK_TEST_DATABASE_URL") {
        Ok(url) => (url, None),
        Err(_) => {
            let private = start_private().await;
            (private.url("postgres"), Some(private))
        }
    };
    let (client, connection) = tokio_postgres::connect(&admin_url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let prefix = own_prefix(&client, &admin_url).await;
    let template = format!("{prefix}template");
    postgres::create_database(&admin_url, &template, None).await.unwrap();
    migrate::run(&with_database(&admin_url, &template)).await.unwrap();

    let (dropped, mut names) = mpsc::unbounded_channel();
    let server = Server { admin_url: admin_url.clone(), template, prefix, dropped };
    if ready.send(server).is_err() {
        return;
    }
    while let Some(name) = names.recv().await {
        if let Err(error) = postgres::drop_database(&admin_url, &name).await {
            eprintln!("leaving the database {name}: {error}");
        }
    }
}

async fn start_private() -> PrivatePostgres {
    let options = PostgresOptions {
        data_dir: own_dir().join("server"),
        durable: false,
        bin_dir: std::env::var_os("PROPUSK_POSTGRES_BIN").map(PathBuf::from),
        settings: vec![("max_connections".to_owned(), "300".to_owned())],
    };
    PrivatePostgres::start(&options, &|_| ()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Chooses names for this process's databases on a shared server, and drops those of processes that ended: each
/// holds a lock that goes with its session.
async fn own_prefix(client: &tokio_postgres::Client, admin_url: &str) -> String {
    let mut token = [0u8; 4];
    SystemClock.fill(&mut token);
    let prefix = format!("{PREFIX}{:08x}_", u32::from_be_bytes(token));
    let lock = "SELECT pg_try_advisory_lock(hashtext($1))";
    client.execute(lock, &[&prefix]).await.unwrap();
    let names = "SELECT datname FROM pg_database WHERE datname LIKE $1";
    for row in client.query(names, &[&format!("{PREFIX}%")]).await.unwrap() {
        let name: String = row.get(0);
        let owner = &name[..=name.rfind('_').unwrap()];
        if owner != prefix && client.query_one(lock, &[&owner]).await.unwrap().get::<_, bool>(0) {
            let _ = postgres::drop_database(admin_url, &name).await;
            let unlock = "SELECT pg_advisory_unlock(hashtext($1))";
            client.execute(unlock, &[&owner]).await.unwrap();
        }
    }
    prefix
}

/// `target/tmp/pg-<pid>`: everything that this process writes. What others left goes at the first call.
fn own_dir() -> PathBuf {
    static CLEARED: Once = Once::new();
    CLEARED.call_once(|| {
        // In a thread, because the caller may be inside a runtime.
        let cleared = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap()
                .block_on(remove_leftovers());
        });
        cleared.join().unwrap();
    });
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pg-{}", std::process::id()))
}

/// Removes the directories of test processes that are gone, with the servers that they may have left.
async fn remove_leftovers() {
    for entry in std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("pg-").and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_none_or(|pid| pid == std::process::id() || is_alive(pid)) {
            continue;
        }
        for dir in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            if let Err(error) = postgres::remove(&dir.path()).await {
                eprintln!("leaving {}: {error}", dir.path().display());
            }
        }
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

fn is_alive(pid: u32) -> bool {
    std::process::Command::new("/bin/sh")
        .args(["-c", "kill -0 \"$1\" 2>/dev/null", "sh", &pid.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

/// Puts another database into a URL.
fn with_database(url: &str, database: &str) -> String {
    let (base, parameters) = url.split_once('?').map_or((url, None), |(a, b)| (a, Some(b)));
    let (scheme, rest) = base.split_once("://").unwrap();
    let server = rest.split('/').next().unwrap();
    let parameters = parameters.map(|text| format!("?{text}")).unwrap_or_default();
    format!("{scheme}://{server}/{database}{parameters}")
}
