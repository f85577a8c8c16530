//! The house's ground: the private PostgreSQL, the migrations and the configuration.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use propusk::audit::note::LogKey;
use propusk::config::{CommandConfig, Config, ConfigErrors, DEMO_MARK, DemoConfig};
use propusk::demo::postgres::{PostgresOptions, PrivatePostgres, ensure_database, remove};
use propusk::permits::keys::PermitKeys;
use propusk::registers::Register;
use propusk::storage::migrate;
use tokio_postgres::{Client, NoTls};

use crate::support::app::{log_key, permit_key};
use crate::support::db::{TestDatabase, test_dir};

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn start(dir: &Path) -> PrivatePostgres {
    let options = PostgresOptions::durable(dir);
    PrivatePostgres::start(&options, &|_| ()).await.unwrap_or_else(|error| panic!("{error}"))
}

fn kill(pid: u32) {
    let status = Command::new("/bin/sh")
        .args(["-c", "kill -KILL \"$1\"", "sh", &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "cannot kill {pid}");
}

/// Lists the children of a process (nothing where there is no /proc).
fn children_of(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (_, after_name) = stat.rsplit_once(") ")?;
        let of = after_name.split(' ').nth(1)?.parse::<u32>().ok()?;
        (of == parent).then(|| entry.file_name().to_str()?.parse().ok())?
    })
    .collect()
}

async fn rows(url: &str) -> i64 {
    connect(url).await.query_one("SELECT count(*) FROM kept", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn the_private_server_comes_back_with_its_rows_after_everything_was_killed() {
    let dir = test_dir("killed");
    let server = start(&dir).await;
    assert!(server.ensure_database("office").await.unwrap());
    assert!(!server.ensure_database("office").await.unwrap());
    let url = server.url("office");
    let client = connect(&url).await;
    client.batch_execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").await.unwrap();

    // The watchdog first: nobody is left to stop the server in good order.
    kill(server.watchdog_pid());
    kill(server.server_pid().unwrap());
    drop(server);
    let server = start(&dir).await;
    assert_eq!(rows(&url).await, 1);

    // Everything but the server: it lives on as an orphan, and the next start ends it.
    let orphan = server.server_pid().unwrap();
    let watchdog = server.watchdog_pid();
    children_of(watchdog).into_iter().filter(|pid| *pid != orphan).for_each(kill);
    kill(watchdog);
    drop(server);
    let server = start(&dir).await;
    assert_ne!(server.server_pid(), Some(orphan));
    assert_eq!(rows(&url).await, 1);

    // A clean stop leaves nothing to recover, and a stale file that names a living process is no obstacle.
    let pid_file = server.cluster_dir().join("postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).unwrap();
    server.stop().await.unwrap();
    assert!(!pid_file.exists());
    let (_, rest) = text.split_once('\n').unwrap();
    std::fs::write(&pid_file, format!("{}\n{rest}", std::os::unix::process::parent_id())).unwrap();
    let server = start(&dir).await;
    assert_eq!(rows(&url).await, 1);
    server.stop().await.unwrap();
    assert!(remove(&dir).await.unwrap());
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_half_made_cluster_is_replaced_and_a_directory_in_use_is_refused() {
    let dir = test_dir("half-made");
    let half = dir.join("pg.new/base");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("torn"), "half a page").unwrap();
    let server = start(&dir).await;
    assert!(!dir.join("pg.new").exists());
    ensure_database(&server.url("postgres"), "works").await.unwrap();

    let refused = PrivatePostgres::start(&PostgresOptions::durable(&dir), &|_| ()).await;
    let message = refused.unwrap_err().to_string();
    assert!(message.contains(&format!("in use by process {}", std::process::id())), "{message}");
    server.stop().await.unwrap();
    assert!(remove(&dir).await.unwrap());
}

#[tokio::test]
async fn a_directory_that_is_closed_or_has_a_long_name_holds_a_server_all_the_same() {
    let dir = test_dir("closed").join("long-".repeat(24));
    std::fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
    let said = RefCell::new(Vec::new());
    let options = PostgresOptions::durable(&dir);
    let progress = |line: &str| said.borrow_mut().push(line.to_owned());
    let server = PrivatePostgres::start(&options, &progress).await.unwrap();
    connect(&server.url("postgres")).await.query_one("SELECT 1", &[]).await.unwrap();
    // Root's PostgreSQL runs as somebody who may not enter.
    let moved = !server.cluster_dir().starts_with(&dir);
    assert_eq!(moved, std::fs::metadata(&dir).unwrap().uid() == 0);
    assert_eq!(moved, said.borrow().iter().any(|line| line.contains("who may not enter")));
    assert!(server.ensure_database("office").await.unwrap());
    server.stop().await.unwrap();

    // Whoever removes the directory begins anew, wherever the cluster was.
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
    let server = start(&dir).await;
    assert!(server.ensure_database("office").await.unwrap());
    let cluster = server.cluster_dir().to_owned();
    server.stop().await.unwrap();
    assert!(remove(&dir).await.unwrap());
    assert!(!cluster.exists());
}

#[tokio::test]
async fn a_directory_of_something_else_is_left_alone() {
    let dir = test_dir("foreign");
    let cluster = dir.join("pg");
    std::fs::create_dir_all(&cluster).unwrap();
    std::fs::write(cluster.join("diary"), "mine").unwrap();
    let refused = PrivatePostgres::start(&PostgresOptions::durable(&dir), &|_| ()).await;
    // When root keeps its databases elsewhere, the directory is not even looked at.
    if let Err(error) = refused {
        assert!(error.to_string().contains("is not a PostgreSQL database cluster"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(cluster.join("diary")).unwrap(), "mine");
}

#[tokio::test]
async fn two_databases_of_the_template_are_independent_and_migrated() {
    let (one, two) = (TestDatabase::new().await, TestDatabase::new().await);
    connect(one.url()).await.batch_execute("CREATE TABLE kept (n int)").await.unwrap();
    let found = connect(two.url())
        .await
        .query_one("SELECT to_regclass('kept') IS NULL", &[])
        .await
        .unwrap()
        .get::<_, bool>(0);
    assert!(found);
    for database in [&one, &two] {
        assert!(migrate::pending(database.url()).await.unwrap().is_empty());
        assert!(migrate::run(database.url()).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_empty_database_lacks_every_migration_and_two_processes_migrate_it_once() {
    let database = TestDatabase::new().await;
    let client = connect(database.url()).await;
    client.batch_execute("DROP TABLE __diesel_schema_migrations").await.unwrap();
    assert_eq!(migrate::pending(database.url()).await.unwrap(), migrate::names().unwrap());
    client
        .batch_execute("DROP SCHEMA public, events_by_month CASCADE; CREATE SCHEMA public")
        .await
        .unwrap();
    let (one, two) = tokio::join!(migrate::run(database.url()), migrate::run(database.url()));
    let ran = [one.unwrap(), two.unwrap()];
    assert!(ran.contains(&migrate::names().unwrap()), "{ran:?}");
    assert!(ran.contains(&Vec::new()), "{ran:?}");
}

#[tokio::test]
async fn the_service_role_may_read_which_migrations_ran_and_make_no_tables() {
    let database = TestDatabase::new().await;
    let client = connect(database.url()).await;
    client.batch_execute("SET ROLE propusk_service").await.unwrap();
    client.query("SELECT version FROM __diesel_schema_migrations", &[]).await.unwrap();
    let refused = client.batch_execute("CREATE TABLE t (n int)").await.unwrap_err();
    assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE));
}

#[test]
fn every_migration_directory_is_in_the_binary() {
    let mut found: Vec<String> =
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
    found.sort();
    assert_eq!(
        found,
        migrate::names().unwrap(),
        "a directory was added or removed and nothing else: `touch src/storage/migrate.rs`"
    );
}

type Environment = BTreeMap<&'static str, String>;

fn load(environment: &Environment) -> Result<Config, ConfigErrors> {
    Config::load(None, &|name| environment.get(name).cloned())
}

/// An environment that serve would accept, with its key file in `dir`.
fn right(dir: &Path) -> Environment {
    let key = dir.join("token-key.pem");
    let pem = SigningKey::from_bytes(&[7; 32]).to_pkcs8_pem(LineEnding::LF).unwrap();
    std::fs::write(&key, pem.as_bytes()).unwrap();
    let dir = dir.display().to_string();
    BTreeMap::from([
        ("DATABASE_URL", "postgres://service:hunter2@db.internal/propusk".to_owned()),
        ("PROPUSK_PUBLIC_URL", "https://permits.example.org/".to_owned()),
        ("PROPUSK_TOKEN_KEY_FILE", key.display().to_string()),
        ("PROPUSK_PAYMENT_WEBHOOK_SECRETS", format!("whsec_{}", STANDARD.encode([9; 32]))),
        (
            "PROPUSK_REGISTERS",
            format!(
                "taxNumbers https://tax.example/ask whsec_{0}, borderCrossings https://b.example whsec_{0} timeout=3s",
                STANDARD.encode([8; 32])
            ),
        ),
        ("PROPUSK_SMTP_URL", "smtps://user:hunter2@mail.internal".to_owned()),
        ("PROPUSK_MAIL_FROM", "Work permits <noreply@example.org>".to_owned()),
        ("PROPUSK_DOCUMENTS_DIRECTORY", dir.clone()),
        ("PROPUSK_LOG_KEY", log_key()),
        ("PROPUSK_PERMIT_KEY", permit_key()),
        ("PROPUSK_LOG_DIRECTORY", dir),
        ("PROPUSK_LISTEN", String::new()),
    ])
}

#[test]
fn a_right_configuration_is_accepted_and_hides_its_secrets() {
    let environment = right(&test_dir("right"));
    let config = load(&environment).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.public_url, "https://permits.example.org");
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.database.owner_url, config.database.url);
    let names: Vec<&str> = config.registers.iter().map(Register::name).collect();
    assert_eq!(names, ["taxNumbers", "borderCrossings"]);
    assert_eq!(config.registers[1].timeout().as_secs(), 3);
    let shown = format!("{config:?}");
    assert!(!shown.contains("8, 8, 8") && !shown.contains("whsec_"), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains("PRIVATE KEY"), "{shown}");
    assert!(!shown.contains("\"d\"") && !shown.contains("\\\"d"), "{shown}");
    assert!(!shown.contains("9, 9, 9") && !shown.contains("PRIVATE+KEY"), "{shown}");
}

#[test]
fn every_wrong_setting_names_itself_its_source_and_what_would_be_right() {
    let dir = test_dir("wrong");
    let file = dir.join("propusk.toml");
    let text = "# settings\nlisten = \"8080\"\nclaim_minutes = 0\nlistn = 1\n\
                trusted_proxies = [\"10.0.0.0/8\", \"ten\"]\ncors_origins = [true]\nlog_format = \"xml\"\n";
    std::fs::write(&file, text).unwrap();
    let mut environment = right(&dir);
    environment.insert("PROPUSK_LOG_FORMAT", "json".to_owned());
    environment.insert("PROPUSK_DATABASE_POOL_SIZE", "many".to_owned());
    environment.insert("PROPUSK_SMTP_URL", "smtps//user:hunter2@mail".to_owned());
    environment.insert("PROPUSK_PAYMENT_WEBHOOK_SECRETS", "whsec_c2hvcnQ=,hunter2".to_owned());
    environment.remove("PROPUSK_MAIL_FROM");
    let error = Config::load(Some(&file), &|name| environment.get(name).cloned()).unwrap_err();
    let shown = error.to_string().replace(&*dir.to_string_lossy(), "DIR");
    insta::assert_snapshot!(shown, @r#"
    the configuration is wrong:
      DIR/propusk.toml:6: cors_origins must be text, a number or a list of them: list of origins, such as https://portal.example.org, whose pages may call the service
      DIR/propusk.toml:4: listn is no setting; did you mean listen?
      environment variable PROPUSK_DATABASE_POOL_SIZE: database_pool_size is "many"; write a whole number from 1 to 1000
      DIR/propusk.toml:2: listen is "8080"; write an IP address and a port, such as 127.0.0.1:8080 or [::]:8080
      environment variable PROPUSK_PAYMENT_WEBHOOK_SECRETS: payment_webhook_secrets has a secret of only 5 bytes; write whsec_ followed by at least 24 bytes in base64, as the payment provider shows it
      environment variable PROPUSK_PAYMENT_WEBHOOK_SECRETS: payment_webhook_secrets has a secret that does not begin with whsec_; write whsec_ followed by at least 24 bytes in base64, as the payment provider shows it
      environment variable PROPUSK_SMTP_URL: smtp_url is not a mail server's URL; write smtps://user:password@host or smtp://user:password@host:587?tls=required (with @ and / in a password as %40 and %2F)
      DIR/propusk.toml:5: trusted_proxies has "ten"; write addresses or networks, such as 10.0.0.0/8 or ::1
      DIR/propusk.toml:3: claim_minutes is "0"; write a whole number from 1 to 480
      mail_from is not set; set it in the file or as PROPUSK_MAIL_FROM: sender of mail, such as Work permits <noreply@example.org>
    "#);
}

#[test]
fn registers_are_a_list_in_a_file_and_each_is_named_once() {
    let dir = test_dir("registers");
    let file = dir.join("propusk.toml");
    let secret = format!("whsec_{}", STANDARD.encode([8; 32]));
    let mut environment = right(&dir);
    environment.remove("PROPUSK_REGISTERS");
    let load = |registers: &str| {
        std::fs::write(&file, format!("registers = [{registers}]\n")).unwrap();
        Config::load(Some(&file), &|name| environment.get(name).cloned())
    };
    let one = format!("\"taxNumbers https://tax.example {secret}\"");
    let other = format!("\"payments http://localhost:8090/payments {secret} {secret}\"");
    let config = load(&format!("{one}, {other}")).unwrap();
    assert_eq!(config.registers[1].keys().len(), 2);
    // By them a command, too, tells what an officer has to look at.
    let command = CommandConfig::load(Some(&file), &|name| environment.get(name).cloned()).unwrap();
    assert_eq!(command.registers.len(), 2);
    for (registers, said) in [
        (format!("{one}, {one}"), "names taxNumbers twice"),
        (format!("\"taxNumbers http://tax.example {secret}\""), "for taxNumbers no address"),
        ("\"taxNumbers https://tax.example hunter2\"".to_owned(), "does not begin with whsec_"),
        ("\"taxNumbers\"".to_owned(), "without name, URL or secret"),
    ] {
        let error = load(&registers).unwrap_err().to_string();
        assert!(error.contains("propusk.toml:1: registers ") && error.contains(said), "{error}");
        assert!(!error.contains("hunter2") && !error.contains(&secret), "{error}");
    }
}

#[test]
fn serve_does_not_start_without_a_key_for_permits_nor_with_one_that_is_none() {
    let dir = test_dir("permit-key");
    let mut environment = right(&dir);
    let key = environment.remove("PROPUSK_PERMIT_KEY").unwrap();
    let error = load(&environment).unwrap_err().to_string();
    assert!(error.contains("permit_key_file is not set"), "{error}");
    let file = dir.join("permit.key");
    std::fs::write(&file, &key).unwrap();
    environment.insert("PROPUSK_PERMIT_KEY_FILE", file.display().to_string());
    assert!(load(&environment).is_ok());
    environment.insert("PROPUSK_PERMIT_KEY", key);
    let error = load(&environment).unwrap_err().to_string();
    assert!(error.contains("permit_key and permit_key_file exclude each other"), "{error}");
    environment.remove("PROPUSK_PERMIT_KEY_FILE");
    environment
        .insert("PROPUSK_PERMIT_KEY", "{\"keys\": [{\"d\": 5, \"x\": \"hunter2\"}]}".to_owned());
    let error = load(&environment).unwrap_err().to_string();
    assert!(
        error.contains("permit_key has no keys to use") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line() {
    let file = test_dir("not-toml").join("propusk.toml");
    std::fs::write(&file, "log = \"info\"\nlisten = \n").unwrap();
    let error = CommandConfig::load(Some(&file), &|_| None).unwrap_err().to_string();
    assert!(error.contains("propusk.toml:2: the configuration file is not TOML"), "{error}");
    let error = CommandConfig::load(Some(Path::new("/nonexistent.toml")), &|_| None).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn a_command_on_the_database_needs_the_database_alone() {
    let load = |environment: &Environment| {
        CommandConfig::load(None, &|name| environment.get(name).cloned())
    };
    let url = "postgres://propusk@/demo?host=%2Frun%2Fpostgresql".to_owned();
    load(&BTreeMap::from([("DATABASE_URL", url)])).unwrap();
    let error = load(&Environment::new()).unwrap_err().to_string();
    assert!(error.contains("database_url is not set") && error.contains("DATABASE_URL"), "{error}");
    let wrong = load(&BTreeMap::from([("DATABASE_URL", "mysql://u:hunter2@h/d".to_owned())]));
    let error = wrong.unwrap_err().to_string();
    assert!(error.contains("environment variable DATABASE_URL: database_url"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn serve_refuses_the_secrets_of_the_demo() {
    let dir = test_dir("demo-secrets");
    let mut environment = right(&dir);
    let key = environment["PROPUSK_TOKEN_KEY_FILE"].clone();
    let pem = format!("# {DEMO_MARK}key\n{}", std::fs::read_to_string(&key).unwrap());
    std::fs::write(&key, &pem).unwrap();
    let secret = format!("{DEMO_MARK}0123456789abcdef").into_bytes();
    let coded = format!("whsec_{}", STANDARD.encode(&secret));
    environment.insert("PROPUSK_PAYMENT_WEBHOOK_SECRETS", coded);
    let log = LogKey::generate(&format!("{DEMO_MARK}01234567/log"), [1; 32]).unwrap();
    environment.insert("PROPUSK_LOG_KEY", log.private_line());
    let made = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    let note = format!("{DEMO_MARK}permit-key");
    let permit = PermitKeys::generate([1; 32], made, Some(&note)).private_text();
    environment.insert("PROPUSK_PERMIT_KEY", permit.clone());
    let error = load(&environment).unwrap_err().to_string();
    assert!(error.contains("token_key_file is the demo's key"), "{error}");
    assert!(error.contains("permit_key_file is the demo's key"), "{error}");
    assert!(error.contains("payment_webhook_secrets has the demo's secret"), "{error}");
    assert!(error.contains("log_key_file is the demo's key"), "{error}");
    assert_eq!(error.lines().count(), 5, "{error}");

    // The demo itself takes them.
    let demo = Config::demo(DemoConfig {
        database_url: "postgres://propusk@/demo?host=%2Ftmp".to_owned(),
        port: 0,
        data_dir: dir,
        token_key: pem,
        payment_webhook_secret: secret,
        log_key: log.private_line(),
        permit_key: permit,
    });
    assert!(demo.unwrap().listen.ip().is_loopback());
}
