//! A PostgreSQL of our own, run from the machine's binaries as a child of this process.
//!
//! It listens on a Unix socket only, in a directory that nobody else may enter, and stops with us whatever
//! ends us: the server is started by a small shell that holds the read end of a pipe of ours, and the end of
//! that pipe is the order to stop. What a killed predecessor left is recovered on the next start.
//! [`binaries`] finds the server's programs, [`account`] the unprivileged user that runs it for root.

pub mod account;
pub mod binaries;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio_postgres::NoTls;

use self::account::Account;
use self::binaries::Binaries;
use crate::error::{Error, Result};

/// The superuser of the private server; nobody but its own account and root can reach the socket.
pub const SUPERUSER: &str = "propusk";

/// `sun_path` holds 104 bytes on macOS and the BSDs, 108 on Linux, with the NUL that ends it.
const SOCKET_PATH_LIMIT: usize = 103;
const SOCKET_NAME: &str = ".s.PGSQL.5432";
/// How long the server may take to become ready; crash recovery of a large database is the slow case.
const START_LIMIT: Duration = Duration::from_secs(120);
/// How long a predecessor's server may take to notice by itself that its owner is gone.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(1);
const STOP_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Runs "$@" until the standard input ends, then asks it for a fast shutdown; "$THROW_AWAY" is removed after.
/// The reader waits on a copy of the input because a shell gives its background jobs an empty one.
const WATCHDOG: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ read -r _ <&3; kill -INT "$server"; } 2>/dev/null & reader=$!
exec 3<&- </dev/null
wait "$server"; status=$?
kill "$reader" 2>/dev/null
if [ -n "$THROW_AWAY" ]; then rm -rf -- "$THROW_AWAY" 2>/dev/null; fi
exit "$status"
"#;

/// How a private server is run.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Where everything of it lives; made when missing. Two processes cannot use one directory at a time.
    pub data_dir: PathBuf,
    /// Whether what is committed survives a power cut and what is stored survives a stop. Without, the files
    /// are thrown away when the server stops: for tests.
    pub durable: bool,
    /// Where `postgres` and `initdb` are; searched for when not given.
    pub bin_dir: Option<PathBuf>,
    /// Further server settings, by name.
    pub settings: Vec<(String, String)>,
}

impl PostgresOptions {
    /// Makes the options of a durable server in `data_dir` with the machine's newest binaries.
    pub fn durable(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), durable: true, bin_dir: None, settings: Vec::new() }
    }
}

/// A running private server. Dropping it orders the stop, [`PrivatePostgres::stop`] also waits for it.
#[derive(Debug)]
pub struct PrivatePostgres {
    // Fields are dropped in order: the server is ordered to stop before the directory is given up.
    watchdog_input: Option<ChildStdin>,
    watchdog: Child,
    place: Place,
    _lock: Arc<DirLock>,
}

impl PrivatePostgres {
    /// Starts a server in the directory of `options` and waits until it answers, telling each step to
    /// `progress`. Makes the database cluster first when there is none, or when its making was interrupted.
    ///
    /// # Errors
    /// [`Error::Internal`] saying what to do: no server programs (what to install), a directory in use by a
    /// living process, made by another version or by another user, or a server that does not start (with the
    /// end of its log).
    pub async fn start(options: &PostgresOptions, progress: &dyn Fn(&str)) -> Result<Self> {
        fs::create_dir_all(&options.data_dir).map_err(|error| {
            Error::internal(format!("cannot make {}", options.data_dir.display()), error)
        })?;
        let lock = Arc::new(DirLock::take(&options.data_dir)?);
        let place = Place::choose(&options.data_dir, options.durable)?;
        if let Some(why) = &place.moved_because {
            progress(&format!("keeping the database in {}: {why}", place.base.display()));
        }
        place.prepare()?;
        place.clear_predecessor(progress).await?;
        place.begin_anew_without(&options.data_dir.join("postgres-is-elsewhere"))?;

        let binaries = Binaries::find(options.bin_dir.as_deref(), place.cluster_version()?)?;
        if place.cluster_version()?.is_none() {
            progress(&format!("making a PostgreSQL {} database cluster", binaries.major));
            place.init(&binaries, options.durable)?;
        }
        place.own_cluster()?;
        place.adopt_stale_pid_file()?;
        progress(&format!(
            "starting PostgreSQL {} from {}",
            binaries.major,
            binaries.dir.display()
        ));
        let began = Instant::now();
        loop {
            let (watchdog, input) = place.spawn(&binaries, options)?;
            let mut server = Self {
                watchdog_input: Some(input),
                watchdog,
                place: place.clone(),
                _lock: Arc::clone(&lock),
            };
            match server.wait_until_ready(began).await? {
                Readiness::Ready => return Ok(server),
                // Server processes of a killed predecessor still hold its shared memory; they notice soon.
                Readiness::PredecessorStillLeaving if began.elapsed() < START_LIMIT => {
                    tokio::time::sleep(Duration::from_millis(250)).await;
                    place.adopt_stale_pid_file()?;
                }
                Readiness::PredecessorStillLeaving | Readiness::Failed => {
                    return Err(Error::bug(format!(
                        "PostgreSQL did not start in {}; the end of its log {} says:\n{}",
                        place.cluster.display(),
                        place.log.display(),
                        place.log_tail()
                    )));
                }
            }
        }
    }

    /// Gives the URL of `database` on this server, for tokio-postgres, diesel-async and psql alike.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.place.url(database)
    }

    /// Gives the directory that holds the database cluster.
    #[must_use]
    pub fn cluster_dir(&self) -> &Path {
        &self.place.cluster
    }

    /// Gives the process id of the server itself, or none when it is already down.
    #[must_use]
    pub fn server_pid(&self) -> Option<u32> {
        self.place.recorded_pid()
    }

    /// Gives the process id of the shell that stops the server when we end.
    #[must_use]
    pub fn watchdog_pid(&self) -> u32 {
        self.watchdog.id()
    }

    /// Makes `database` unless it exists; answers whether it made it.
    ///
    /// # Errors
    /// [`Error::Internal`] when the server refuses.
    pub async fn ensure_database(&self, database: &str) -> Result<bool> {
        ensure_database(&self.url("postgres"), database).await
    }

    /// Ends all sessions and stops the server, and waits until it is down.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is not down within a minute.
    pub async fn stop(mut self) -> Result<()> {
        self.watchdog_input = None;
        let began = Instant::now();
        while self.try_wait()?.is_none() {
            if began.elapsed() > STOP_LIMIT {
                return Err(Error::bug(format!(
                    "PostgreSQL in {} did not stop within {} seconds",
                    self.place.cluster.display(),
                    STOP_LIMIT.as_secs()
                )));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn try_wait(&mut self) -> Result<Option<std::process::ExitStatus>> {
        self.watchdog
            .try_wait()
            .map_err(|error| Error::internal("cannot watch the PostgreSQL process", error))
    }

    async fn wait_until_ready(&mut self, began: Instant) -> Result<Readiness> {
        let url = self.url("postgres");
        loop {
            if self.try_wait()?.is_some() {
                let leaving = self.place.log_tail().contains("pre-existing shared memory block");
                return Ok(if leaving {
                    Readiness::PredecessorStillLeaving
                } else {
                    Readiness::Failed
                });
            }
            if let Ok((client, connection)) = tokio_postgres::connect(&url, NoTls).await {
                drop(client);
                // Runs until the dropped client's farewell is sent; an error at that point tells us nothing.
                let _ = connection.await;
                return Ok(Readiness::Ready);
            }
            if began.elapsed() > START_LIMIT {
                return Ok(Readiness::Failed);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Removes what a server that was thrown away left of `data_dir`, ending it first if it still runs.
///
/// Answers false, and touches nothing, when a living process uses the directory.
///
/// # Errors
/// [`Error::Internal`] when the files cannot be removed.
pub async fn remove(data_dir: &Path) -> Result<bool> {
    let Ok(_lock) = DirLock::take(data_dir) else { return Ok(false) };
    let place = Place::choose(data_dir, false)?;
    place.clear_predecessor(&|_| ()).await?;
    for dir in [&place.run, &place.base, data_dir] {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::internal(format!("cannot remove {}", dir.display()), error));
            }
            _ => {}
        }
    }
    Ok(true)
}

/// Makes `database` on the server of `admin_url` unless it exists; answers whether it made it.
///
/// # Errors
/// [`Error::Internal`] when the server cannot be reached or refuses.
pub async fn ensure_database(admin_url: &str, database: &str) -> Result<bool> {
    if database_exists(admin_url, database).await? {
        return Ok(false);
    }
    create_database(admin_url, database, None).await?;
    Ok(true)
}

/// Tells whether there is a `database` on the server of `admin_url`.
///
/// # Errors
/// [`Error::Internal`] when the server cannot be reached or refuses.
pub async fn database_exists(admin_url: &str, database: &str) -> Result<bool> {
    connect(admin_url)
        .await?
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&database])
        .await
        .map(|found| found.is_some())
        .map_err(|error| Error::internal("cannot list the databases", error))
}

/// Gives a database on the server of `admin_url` another name, ending the sessions in it. All that was committed in
/// it is on the disk when it bears the new name.
///
/// # Errors
/// [`Error::Internal`] when the server cannot be reached or refuses.
pub async fn rename_database(admin_url: &str, from: &str, to: &str) -> Result<()> {
    let client = connect(admin_url).await?;
    let failed = |error| Error::internal(format!("cannot rename the database {from}"), error);
    client
        .execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1",
            &[&from],
        )
        .await
        .map_err(failed)?;
    client
        .batch_execute(&format!("ALTER DATABASE {} RENAME TO {}", quoted(from), quoted(to)))
        .await
        .map_err(failed)
}

/// Makes `database` on the server of `admin_url`, as a copy of `template` when one is given (which nobody may
/// be connected to).
///
/// # Errors
/// [`Error::Internal`] when the server cannot be reached or refuses.
pub async fn create_database(
    admin_url: &str,
    database: &str,
    template: Option<&str>,
) -> Result<()> {
    create(&connect(admin_url).await?, database, template).await
}

/// Drops `database` on the server of `admin_url` if it is there, ending the sessions in it.
///
/// # Errors
/// [`Error::Internal`] when the server cannot be reached or refuses.
pub async fn drop_database(admin_url: &str, database: &str) -> Result<()> {
    connect(admin_url)
        .await?
        .batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(database)))
        .await
        .map_err(|error| Error::internal(format!("cannot drop the database {database}"), error))
}

async fn create(
    client: &tokio_postgres::Client,
    database: &str,
    template: Option<&str>,
) -> Result<()> {
    let template = template.map(|name| format!(" TEMPLATE {}", quoted(name))).unwrap_or_default();
    client
        .batch_execute(&format!("CREATE DATABASE {}{template}", quoted(database)))
        .await
        .map_err(|error| Error::internal(format!("cannot make the database {database}"), error))
}

async fn connect(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .map_err(|error| Error::internal("cannot reach PostgreSQL", error))?;
    // Ends with the client; its errors come back from the client's own calls.
    tokio::spawn(connection);
    Ok(client)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

enum Readiness {
    Ready,
    PredecessorStillLeaving,
    Failed,
}

/// Where the parts of one private server lie, and whose they are.
#[derive(Debug, Clone)]
struct Place {
    base: PathBuf,
    cluster: PathBuf,
    run: PathBuf,
    log: PathBuf,
    moved_because: Option<String>,
    /// The account that the server runs as, when that is not our own.
    server: Option<Account>,
    own_uid: u32,
}

impl Place {
    fn choose(data_dir: &Path, durable: bool) -> Result<Self> {
        let data_dir = data_dir.canonicalize().map_err(|error| {
            Error::internal(format!("cannot find {}", data_dir.display()), error)
        })?;
        let own_uid = account::own_uid()?;
        let digest: String = Sha256::digest(data_dir.as_os_str().as_encoded_bytes())
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let (mut base, mut moved_because, mut server) = (data_dir.clone(), None, None);
        if own_uid == 0 {
            // An existing cluster keeps its owner, so that the same person can start it without root again.
            let account = match fs::metadata(data_dir.join("pg")) {
                Ok(found) if found.uid() != 0 => {
                    Account { name: found.uid().to_string(), uid: found.uid(), gid: found.gid() }
                }
                _ => account::unprivileged()?,
            };
            if let Some(closed) = account.first_closed_ancestor(&data_dir) {
                base = PathBuf::from(format!("/var/tmp/propusk-{digest}"));
                moved_because = Some(format!(
                    "PostgreSQL runs as {} (it refuses root), who may not enter {}",
                    account.name,
                    closed.display()
                ));
            }
            server = Some(account);
        }
        let mut run = base.join("run");
        if run.join(SOCKET_NAME).as_os_str().len() > SOCKET_PATH_LIMIT {
            run = PathBuf::from(format!("/tmp/propusk-{digest}"));
        }
        let log = base.join(if durable { "postgres.log" } else { "throw-away.log" });
        Ok(Self { cluster: base.join("pg"), run, log, base, moved_because, server, own_uid })
    }

    fn server_uid(&self) -> u32 {
        self.server.as_ref().map_or(self.own_uid, |account| account.uid)
    }

    /// Makes the base and the socket directory, and refuses ones that somebody else laid in our way.
    fn prepare(&self) -> Result<()> {
        if self.moved_because.is_some() {
            self.make_private(&self.base)?;
        }
        self.make_private(&self.run)?;
        let _ = fs::rename(&self.log, self.log.with_extension("log.1"));
        Ok(())
    }

    fn make_private(&self, dir: &Path) -> Result<()> {
        let failed = |error| Error::internal(format!("cannot make {}", dir.display()), error);
        match fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => self.give_to_server(dir).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        // Not following links: in a directory that everybody can write to, this could be anybody's.
        let found = fs::symlink_metadata(dir).map_err(failed)?;
        let ours = found.uid() == self.server_uid() || found.uid() == self.own_uid;
        if !found.is_dir() || !ours {
            return Err(Error::bug(format!(
                "{} is not ours (it belongs to user {}); remove it or choose another data directory",
                dir.display(),
                found.uid()
            )));
        }
        self.give_to_server(dir).map_err(failed)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)
    }

    fn give_to_server(&self, path: &Path) -> std::io::Result<()> {
        match &self.server {
            Some(account) => chown(path, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }

    /// Whoever removes the data directory removes its data: a cluster that is kept elsewhere goes when the
    /// `note` of it is gone from the directory.
    fn begin_anew_without(&self, note: &Path) -> Result<()> {
        if self.moved_because.is_none() || note.exists() {
            return Ok(());
        }
        let outcome =
            if self.cluster.exists() { fs::remove_dir_all(&self.cluster) } else { Ok(()) };
        outcome.and_then(|()| fs::write(note, self.base.as_os_str().as_encoded_bytes())).map_err(
            |error| Error::internal(format!("cannot begin in {}", self.base.display()), error),
        )
    }

    /// Reads the major version of the cluster; none when there is no cluster yet.
    fn cluster_version(&self) -> Result<Option<u32>> {
        if !self.cluster.exists() {
            return Ok(None);
        }
        // A cluster gets its name only when it is complete, so this one is not of our making.
        fs::read_to_string(self.cluster.join("PG_VERSION"))
            .ok()
            .filter(|_| self.cluster.join("global/pg_control").exists())
            .and_then(|text| text.trim().parse().ok())
            .map(Some)
            .ok_or_else(|| {
                Error::bug(format!(
                    "{} is not a PostgreSQL database cluster; move it away or choose another data directory",
                    self.cluster.display()
                ))
            })
    }

    /// Makes the cluster beside its place and moves it there when it is complete.
    fn init(&self, binaries: &Binaries, durable: bool) -> Result<()> {
        let new = self.base.join("pg.new");
        let failed = |error| Error::internal(format!("cannot make {}", new.display()), error);
        let mut complaint = String::new();
        for locale in binaries.locales() {
            match fs::remove_dir_all(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
            fs::DirBuilder::new().mode(0o700).create(&new).map_err(failed)?;
            self.give_to_server(&new).map_err(failed)?;
            let mut command = self.command(&binaries.program("initdb"));
            command.arg("--pgdata").arg(&new).args(["--username", SUPERUSER]);
            command.args(["--auth", "trust", "--encoding", "UTF8", "--no-instructions"]);
            if !durable {
                command.arg("--no-sync");
            }
            let output = command
                .args(*locale)
                .output()
                .map_err(|error| Error::internal("cannot run initdb", error))?;
            if output.status.success() {
                fs::rename(&new, &self.cluster).map_err(failed)?;
                return File::open(&self.base).and_then(|dir| dir.sync_all()).map_err(failed);
            }
            complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let lowered = complaint.to_lowercase();
            if !["locale", "icu"].iter().any(|word| lowered.contains(word)) {
                break;
            }
        }
        let _ = fs::remove_dir_all(&new);
        Err(Error::bug(format!("initdb could not make a database cluster:\n{complaint}")))
    }

    /// Makes sure that the server's account owns the cluster, and nobody else may enter it.
    fn own_cluster(&self) -> Result<()> {
        let failed =
            |error| Error::internal(format!("cannot take over {}", self.cluster.display()), error);
        let owner = fs::metadata(&self.cluster).map_err(failed)?.uid();
        if owner != self.server_uid() {
            let Some(account) = &self.server else {
                return Err(Error::bug(format!(
                    "{} belongs to user {owner}, and we are user {}; start as that user or as root, or choose \
                     another data directory",
                    self.cluster.display(),
                    self.own_uid
                )));
            };
            account.take_over(&self.cluster).map_err(failed)?;
        }
        fs::set_permissions(&self.cluster, fs::Permissions::from_mode(0o700)).map_err(failed)
    }

    /// Waits for a predecessor's server to stop, or stops it; then clears away what it left.
    ///
    /// We hold the lock of the directory, so whoever started that server is gone.
    async fn clear_predecessor(&self, progress: &dyn Fn(&str)) -> Result<()> {
        let began = Instant::now();
        let mut asked = false;
        while let Some(pid) = self.recorded_pid().filter(|pid| self.is_server(*pid)) {
            if began.elapsed() > STOP_LIMIT {
                return Err(Error::bug(format!(
                    "the PostgreSQL server {pid} of an earlier start is still running in {}; end it with \
                     `kill -INT {pid}`",
                    self.cluster.display()
                )));
            }
            if !asked && began.elapsed() > ORPHAN_PATIENCE {
                asked = true;
                progress(&format!("stopping the PostgreSQL server {pid} of an earlier start"));
                let _ = Command::new("/bin/sh")
                    .args(["-c", "kill -INT \"$1\"", "sh", &pid.to_string()])
                    .stderr(Stdio::null())
                    .status();
            }
            tokio::time::sleep(POLL).await;
        }
        // With no server of this directory alive, a socket and its lock file are leftovers.
        for name in [SOCKET_NAME.to_owned(), format!("{SOCKET_NAME}.lock")] {
            let _ = fs::remove_file(self.run.join(name));
        }
        if self.base.join("pg.new").exists() {
            progress("removing a half-made database cluster");
            fs::remove_dir_all(self.base.join("pg.new")).map_err(|error| {
                Error::internal("cannot remove a half-made database cluster", error)
            })?;
        }
        Ok(())
    }

    /// Lets the server replace a `postmaster.pid` whose process is gone but whose number is in use again.
    ///
    /// Removing the file would also remove the key by which the server recognises that processes of its
    /// predecessor still have the files open. So the file stays, under our own number: a server replaces the
    /// file of the process that is named to it as its grandparent, and keeps the check.
    fn adopt_stale_pid_file(&self) -> Result<()> {
        let path = self.cluster.join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
        let rest = text.split_once('\n').map(|(_, rest)| rest);
        let outcome = match rest {
            Some(rest) => OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(&path)
                .and_then(|mut file| write!(file, "{}\n{rest}", std::process::id())),
            // Torn in the writing: the server would refuse it and it holds no key.
            None => fs::remove_file(&path),
        };
        outcome.map_err(|error| Error::internal(format!("cannot mend {}", path.display()), error))
    }

    fn recorded_pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.cluster.join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// Whether process `pid` is a PostgreSQL server of this very cluster.
    fn is_server(&self, pid: u32) -> bool {
        let cluster = self.cluster.as_os_str().as_encoded_bytes();
        if let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) {
            let mut words = line.split(|byte| *byte == 0);
            let program = words.next().unwrap_or_default();
            return program.ends_with(b"postgres") && words.any(|word| word == cluster);
        }
        if Path::new("/proc/self").exists() {
            return false;
        }
        Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output().is_ok_and(
            |output| {
                let line = String::from_utf8_lossy(&output.stdout).into_owned();
                line.contains("postgres") && line.contains(&*self.cluster.to_string_lossy())
            },
        )
    }

    fn spawn(&self, binaries: &Binaries, options: &PostgresOptions) -> Result<(Child, ChildStdin)> {
        let failed = |error| Error::internal("cannot start PostgreSQL", error);
        let log = OpenOptions::new().create(true).write(true).truncate(true).open(&self.log);
        let log = log.map_err(failed)?;
        let on = if options.durable { "on" } else { "off" };
        let mut command = self.command(Path::new("/bin/sh"));
        command.args(["-c", WATCHDOG, "propusk-postgres"]);
        command.arg(binaries.program("postgres")).arg("-D").arg(&self.cluster);
        let directories = quoted(&self.run.to_string_lossy());
        let settings = [
            ("listen_addresses", ""),
            ("unix_socket_directories", &directories),
            ("unix_socket_permissions", "0700"),
            ("port", "5432"),
            ("fsync", on),
            ("synchronous_commit", on),
            ("full_page_writes", on),
            ("log_destination", "stderr"),
            ("logging_collector", "off"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
        ];
        let further = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in settings.into_iter().chain(further) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        if !options.durable {
            command.env("THROW_AWAY", &self.cluster);
        }
        command.env("PG_GRANDPARENT_PID", std::process::id().to_string());
        command
            // The terminal's Ctrl-C is for us alone: we stop serving first, then the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::from(log.try_clone().map_err(failed)?))
            .stderr(Stdio::from(log));
        let mut child = command.spawn().map_err(failed)?;
        let input = child.stdin.take().ok_or_else(|| Error::bug("the shell has no input"))?;
        Ok((child, input))
    }

    /// Prepares `program` to run as the server's account, free of what the caller's environment says about
    /// PostgreSQL and languages.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| {
            let name = name.as_encoded_bytes();
            name.starts_with(b"PG") || name.starts_with(b"LC_") || name == b"LANG"
        }) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").env_remove("THROW_AWAY").current_dir(&self.run);
        if let Some(account) = &self.server {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    fn url(&self, database: &str) -> String {
        let host = percent_encoded(self.run.as_os_str().as_encoded_bytes());
        let database = percent_encoded(database.as_bytes());
        format!("postgres://{SUPERUSER}@/{database}?host={host}")
    }

    fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }
}

/// A data directory taken by this process; the system gives it back when the process ends, however it ends.
#[derive(Debug)]
struct DirLock(File);

impl DirLock {
    fn take(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join("lock");
        let failed = |error| Error::internal(format!("cannot lock {}", path.display()), error);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)
                    .and_then(|()| write!(file, "{}", std::process::id()))
                    .map_err(failed)?;
                Ok(Self(file))
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                Err(Error::bug(format!(
                    "{} is in use by process {holder}; end it or choose another data directory",
                    data_dir.display()
                )))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread has forked and that has not yet replaced itself
        // by its program holds a copy of the file, and the lock with it.
        let _ = self.0.unlock();
    }
}

fn percent_encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_directory_given_up_is_free_at_once_although_children_are_being_forked() {
        let dir = std::env::temp_dir().join(format!("propusk-lock-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let uid = account::own_uid().unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _ = Command::new("/bin/sh").args(["-c", ":"]).uid(uid).status();
                }
            });
            let taken: Vec<_> = (0..300).map(|_| DirLock::take(&dir).map(drop)).collect();
            done.store(true, Ordering::Relaxed);
            assert!(taken.iter().all(Result::is_ok));
        });
        fs::remove_dir_all(&dir).unwrap();
    }
}
