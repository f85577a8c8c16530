//! Fills a database with as many applications as are asked for, in rows that `propusk audit replay` accepts.
//!
//! [`seed`] has the engine itself make some hundred cases. [`fill`] writes variants of them through `COPY`: each has ids, a
//! reference, numbers, names, a birth date, an instant, salts and commitments of its own, and is otherwise what the engine
//! said. The leaves, tiles and the sequencer's position are written with them, so that the log goes on where this ends.
//! Mail that was sent, reads and log-ins have no variants. Indexes are made after the rows.

use std::io::Cursor;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Timelike as _, Utc};
use futures_util::SinkExt as _;
use propusk::app::App;
use propusk::audit::edge::Edge;
use propusk::audit::tile::Level;
use propusk::casework::Ask;
use propusk::clock::{Clock as _, FixedClock, SystemClock};
use propusk::demo::{people, seed};
use propusk::domain::actor::{Actor, Role};
use propusk::domain::application::Document;
use propusk::domain::event::leaf::Leaf;
use propusk::domain::event::sealed::Private;
use propusk::domain::fee::Uin;
use propusk::domain::form::Form;
use propusk::domain::identity::{PassportNumber, Sex};
use propusk::domain::lookup;
use propusk::domain::permit::PermitNumber;
use propusk::domain::reference::Reference;
use propusk::storage::migrate;
use tokio::sync::mpsc;
use tokio_postgres::{Client, CopyInSink, NoTls, SimpleQueryMessage};
use uuid::Uuid;

use super::keys;
use super::names::{self, Names};

/// How many applications one part of the work has.
const CHUNK: i64 = 1_000;

/// Where the serial numbers of charges and permits begin that no sequence has given.
const FIRST_SERIAL: u64 = 10_000_000;

/// Tables with the columns that say whose a row is. Events are apart: theirs are sealed.
const TABLES: [(&str, &str); 6] = [
    ("applications", "t.id = $"),
    ("checks", "t.application_id = $"),
    ("charges", "t.application_id = $"),
    ("payments", "t.charge_id IN (SELECT id FROM charges WHERE application_id = $)"),
    ("permits", "t.application_id = $"),
    ("jobs", "t.finished_at IS NULL AND t.payload ->> 'application' = $::text"),
];

/// What `COPY` fills besides [`TABLES`].
const EVENTS: &str = "events (id, at, kind, actor_id, actor_role, unit_code, application_id, seq, track, workflow_version, \
    command, from_state, to_state, content, salt, commitment, pseudonym)";
const WORDS: &str = "application_words (unit_code, word, application_id, all_words)";
const LEAVES: &str = "log_leaves (index, event_id)";
const TILES: &str = "log_tiles (level, index, bytes, root)";

/// How many of what [`fill`] wrote.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    /// All applications, those of the seed among them.
    pub applications: i64,
    /// All events.
    pub events: u64,
    /// Seconds: for reading the seed, for the rows, for indexes and statistics.
    pub took: [f64; 3],
}

/// Connects as the owner.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET TIME ZONE 'UTC'").await.unwrap();
    client
}

// ── The seed ─────────────────────────────────────────────────────────────────────────────────────────────────

/// Drafts with everything that handing them in needs.
const READY: u32 = 24;

/// Migrates the database of `url` and has the engine make the cases that variants are made of: the demo's stories, and
/// drafts that can be handed in today. `dir` takes the mail.
pub async fn seed(url: &str, dir: &Path) {
    migrate::run(url).await.unwrap();
    let rules = propusk::app::rules(None).unwrap();
    migrate::register(url, &rules, &SystemClock, "operator").await.unwrap();
    let now = SystemClock.now();
    let clock = Arc::new(FixedClock::new(now, 2026));
    // What is lost in a crash is made anew.
    let made_anew = format!("{url}&options=-c%20synchronous_commit%3Doff");
    let config = keys::config(&made_anew, dir);
    let app = App::new(&config, clock.clone()).unwrap();
    people::settle(&app, url).await.unwrap();
    seed::sow(&app, &clock, now, &|_| ()).await.unwrap();
    clock.set(now);
    for number in 0..READY {
        draft(&app, now, number).await;
    }
}

/// Opens a complete draft at unit 77 that can be handed in.
async fn draft(app: &App, now: DateTime<Utc>, number: u32) {
    let today = (now + TimeDelta::hours(3)).date_naive();
    let track = "patent";
    let stated = serde_json::json!({
        "person": { "familyName": "Каримов", "givenName": "Рустам", "patronymic": "Алишерович",
            "birthDate": "1990-05-17", "sex": if number.is_multiple_of(5) { "female" } else { "male" }, "citizenship": "UZB" },
        "passport": { "number": format!("FD{}", 1_000_000 + number), "issuedOn": "2021-01-02", "expiresOn": "2031-01-01" },
        "entry": { "enteredOn": today - Days::new(5), "migrationCard": format!("4526 {}", 1_000_000 + number) },
        "occupation": { "code": "7112", "title": "Каменщик" },
        "employer": { "inn": "7707083893", "name": "ООО «Стройка»" },
        "contact": { "email": format!("applicant{number}@bench.example"), "language": "ru" },
        "prepaidMonths": 1 + number % 12,
    });
    let form: Form = serde_json::from_value(stated).unwrap();
    let migrant = people::ACCOUNTS.iter().find(|one| one.role == Role::Migrant).unwrap();
    let found = propusk::storage::accounts::find_by_email(&app.db, &migrant.email()).await.unwrap();
    let ask = Ask {
        actor: Actor::User { id: found.unwrap().account.id, role: Role::Migrant, unit: None },
        if_match: None,
        idempotency: None,
    };
    let seen = std::sync::Mutex::new(None);
    let keep = |now: &propusk::casework::Seen<'_>| {
        *seen.lock().unwrap() = Some(now.application.id);
        Ok(String::new())
    };
    app.casework.open(&ask, track, "77", form, &keep).await.unwrap();
    let id = seen.lock().unwrap().take().unwrap();
    let rules = app.casework.rules();
    for rule in &rules.current(track, today).unwrap().documents {
        if !rule.required {
            continue;
        }
        let document = Document {
            kind: rule.id.clone(),
            digest: "5f".repeat(32),
            size: seed::PDF.len() as u64,
            media_type: "application/pdf".to_owned(),
            attached_at: now,
        };
        app.casework.attach(&ask, id, &document, &|_| Ok(String::new())).await.unwrap();
    }
}

// ── Templates ────────────────────────────────────────────────────────────────────────────────────────────────

/// A part of a row: text that every variant has, or what each has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Application,
    Reference,
    Event(usize),
    Charge(usize),
    Payment(usize),
    Uin(usize),
    Permit,
    Passport,
    Family,
    Given,
    Patronymic,
    FullName,
    BirthDate,
    /// Microseconds since midnight.
    Time(i64),
}

struct EventTemplate {
    at: DateTime<Utc>,
    kind: String,
    actor: Option<Uuid>,
    role: String,
    unit: String,
    seq: i32,
    track: String,
    workflow: i32,
    command: String,
    from: String,
    to: String,
    content: Vec<Piece>,
}

/// A case that the engine made.
struct Template {
    rows: [Vec<Vec<Piece>>; TABLES.len()],
    events: Vec<EventTemplate>,
    form: Form,
    unit: String,
    /// Whether officers find it by the words of its form.
    found: bool,
    ready: bool,
    open: bool,
    charges: usize,
    payments: usize,
    series: String,
    patronymic: bool,
}

/// Gives the rows of a text without parameters, each value as text.
pub async fn rows(sql: &Client, text: &str) -> Vec<Vec<Option<String>>> {
    let messages = sql.simple_query(text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
            }
            _ => None,
        })
        .collect()
}

async fn columns(sql: &Client, table: &str) -> Vec<String> {
    let text = format!(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{table}' \
         AND is_generated = 'NEVER' AND is_identity = 'NO' ORDER BY ordinal_position"
    );
    rows(sql, &text).await.into_iter().map(|mut row| row.remove(0).unwrap()).collect()
}

async fn templates(sql: &Client) -> Vec<Template> {
    let mut names = Vec::new();
    for (table, _) in TABLES {
        names.push(columns(sql, table).await);
    }
    let ids = "SELECT id, form FROM applications WHERE erased_at IS NULL ORDER BY id";
    let mut all = Vec::new();
    for row in rows(sql, ids).await {
        let [Some(id), Some(form)] = &row[..] else { panic!("an application without id or form") };
        all.push(template(sql, &names, id, form).await);
    }
    all
}

async fn template(sql: &Client, names: &[Vec<String>], id: &str, form: &str) -> Template {
    let form: Form = serde_json::from_str(form).unwrap();
    let mut found = Vec::new();
    for ((table, whose), columns) in TABLES.iter().zip(names) {
        let whose = whose.replace('$', &format!("'{id}'"));
        let list: Vec<String> = columns.iter().map(|one| format!("t.\"{one}\"")).collect();
        let order = list[0].clone();
        let text =
            format!("SELECT {} FROM {table} t WHERE {whose} ORDER BY {order}", list.join(", "));
        found.push(rows(sql, &text).await);
    }
    let value = |table: usize, row: usize, column: &str| -> Option<String> {
        let at = names[table].iter().position(|one| one == column).unwrap();
        found[table].get(row)?[at].clone()
    };
    let events = rows(
        sql,
        &format!(
            "SELECT id, at, kind, actor_id, actor_role, unit_code, seq, track, workflow_version, command, from_state, \
             to_state, content FROM events WHERE application_id = '{id}' AND seq IS NOT NULL ORDER BY seq"
        ),
    )
    .await;
    // Longer texts first: what is part of another must not be cut out of it.
    let person = form.person.clone();
    let mut own: Vec<(String, Piece)> = vec![
        (id.to_owned(), Piece::Application),
        (value(0, 0, "reference").unwrap(), Piece::Reference),
    ];
    if let Some(person) = &person {
        own.push((person.full_name(), Piece::FullName));
    }
    for (number, event) in events.iter().enumerate() {
        own.push((event[0].clone().unwrap(), Piece::Event(number)));
    }
    for number in 0..found[2].len() {
        own.push((value(2, number, "id").unwrap(), Piece::Charge(number)));
        own.push((value(2, number, "uin").unwrap(), Piece::Uin(number)));
    }
    for number in 0..found[3].len() {
        own.push((value(3, number, "id").unwrap(), Piece::Payment(number)));
    }
    let permit = value(4, 0, "number");
    own.extend(permit.clone().map(|number| (number, Piece::Permit)));
    own.extend(form.passport.as_ref().map(|one| (one.number.as_str().to_owned(), Piece::Passport)));
    let mut quoted: Vec<(String, Piece)> = Vec::new();
    if let Some(person) = &person {
        quoted.push((person.family_name.clone(), Piece::Family));
        quoted.push((person.given_name.clone(), Piece::Given));
        quoted.extend(person.patronymic.clone().map(|name| (name, Piece::Patronymic)));
        own.push((person.birth_date.to_string(), Piece::BirthDate));
    }
    let cut = |text: &str| -> Vec<Piece> {
        let mut pieces = vec![Piece::Text(text.to_owned())];
        for (token, piece) in &own {
            pieces = split(pieces, token, piece, "");
        }
        for (token, piece) in &quoted {
            pieces = split(pieces, &format!("\"{token}\""), piece, "\"");
        }
        times(pieces)
    };
    let lines = |table: &Vec<Vec<Option<String>>>| -> Vec<Vec<Piece>> {
        let line = |row: &Vec<Option<String>>| {
            let fields: Vec<String> =
                row.iter().map(|field| field.as_deref().map_or("\\N".to_owned(), escape)).collect();
            cut(&(fields.join("\t") + "\n"))
        };
        table.iter().map(line).collect()
    };
    let event = |row: &Vec<Option<String>>| {
        let text = |at: usize| row[at].clone().unwrap();
        EventTemplate {
            at: instant(&text(1)),
            kind: text(2),
            actor: row[3].as_ref().map(|id| id.parse().unwrap()),
            role: text(4),
            unit: text(5),
            seq: text(6).parse().unwrap(),
            track: text(7),
            workflow: text(8).parse().unwrap(),
            command: text(9),
            from: text(10),
            to: text(11),
            content: cut(&text(12)),
        }
    };
    let state = value(0, 0, "state").unwrap();
    let contact = form.contact.as_ref().map(|one| one.email.as_str().to_owned());
    Template {
        events: events.iter().map(event).collect(),
        unit: value(0, 0, "unit_code").unwrap(),
        found: value(0, 0, "submitted_at").is_some(),
        ready: state == "draft" && contact.is_some_and(|email| email.ends_with("@bench.example")),
        open: state != "draft"
            && matches!(
                value(0, 0, "phase").as_deref(),
                Some("submission" | "checks" | "fee" | "issuance")
            ),
        charges: found[2].len(),
        payments: found[3].len(),
        series: permit.map(|number| number[..2].to_owned()).unwrap_or_default(),
        patronymic: person.is_some_and(|person| person.patronymic.is_some()),
        rows: std::array::from_fn(|table| lines(&found[table])),
        form,
    }
}

fn instant(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_str(&format!("{text}00"), "%Y-%m-%d %H:%M:%S%.f%z").unwrap().to_utc()
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r")
}

/// Cuts `token` out of what is text so far; what it is put between stays.
fn split(pieces: Vec<Piece>, token: &str, piece: &Piece, around: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    for one in pieces {
        let Piece::Text(text) = one else {
            out.push(one);
            continue;
        };
        let mut parts = text.split(token);
        let mut before = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            out.push(Piece::Text(before + around));
            out.push(piece.clone());
            before = format!("{around}{part}");
        }
        out.push(Piece::Text(before));
    }
    out
}

/// Cuts the times of day out of instants, as JSON and PostgreSQL write them.
fn times(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out = Vec::new();
    for one in pieces {
        let Piece::Text(text) = one else {
            out.push(one);
            continue;
        };
        let bytes = text.as_bytes();
        let (mut begin, mut at) = (0, 0);
        while at + 19 <= bytes.len() {
            let Some((micros, length)) = time_of_day(&bytes[at..]) else {
                at += 1;
                continue;
            };
            out.push(Piece::Text(text[begin..at + 11].to_owned()));
            out.push(Piece::Time(micros));
            begin = at + length;
            at = begin;
        }
        out.push(Piece::Text(text[begin..].to_owned()));
    }
    out.retain(|piece| *piece != Piece::Text(String::new()));
    out
}

/// Reads an instant at the beginning of `bytes`; gives its microseconds since midnight and where its zone begins.
fn time_of_day(bytes: &[u8]) -> Option<(i64, usize)> {
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = bytes.len() > shape.len()
        && shape.iter().zip(bytes).all(|(wanted, byte)| match wanted {
            b'd' => byte.is_ascii_digit(),
            b'T' => matches!(byte, b'T' | b' '),
            other => other == byte,
        });
    if !fits {
        return None;
    }
    let number =
        |from: usize| i64::from(bytes[from] - b'0') * 10 + i64::from(bytes[from + 1] - b'0');
    let seconds = (number(11) * 60 + number(14)) * 60 + number(17);
    let mut end = shape.len();
    let mut micros = 0;
    if bytes[end] == b'.' {
        end += 1;
        let mut unit = 100_000;
        while end < bytes.len() && bytes[end].is_ascii_digit() {
            micros += i64::from(bytes[end] - b'0') * unit;
            unit /= 10;
            end += 1;
        }
    }
    matches!(bytes.get(end), Some(b'Z' | b'+')).then_some((seconds * 1_000_000 + micros, end))
}

// ── Variants ─────────────────────────────────────────────────────────────────────────────────────────────────

/// Steele, Lea and Flood's SplitMix64: enough for numbers that only have to differ.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// As [`propusk::clock::Clock::id_at`] makes them.
    fn id_at(&mut self, at: DateTime<Utc>) -> Uuid {
        let mut random = [0; 10];
        random[..8].copy_from_slice(&self.next().to_be_bytes());
        random[8..].copy_from_slice(&self.next().to_be_bytes()[..2]);
        let [.., high, low] = (at.timestamp_subsec_micros() % 1000 * 4096 / 1000).to_be_bytes();
        [random[0], random[1]] = [high, low];
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// What one variant has of its own.
struct Own<'a> {
    application: Uuid,
    reference: Reference,
    events: Vec<Uuid>,
    charges: Vec<Uuid>,
    payments: Vec<Uuid>,
    uins: Vec<Uin>,
    permit: String,
    passport: String,
    names: [&'a str; 3],
    full_name: String,
    birth_date: String,
    later: i64,
}

impl Own<'_> {
    fn write(&self, pieces: &[Piece], out: &mut String) {
        use std::fmt::Write as _;
        for piece in pieces {
            let _ = match piece {
                Piece::Text(text) => out.write_str(text),
                Piece::Application => write!(out, "{}", self.application),
                Piece::Reference => out.write_str(self.reference.as_str()),
                Piece::Event(number) => write!(out, "{}", self.events[*number]),
                Piece::Charge(number) => write!(out, "{}", self.charges[*number]),
                Piece::Payment(number) => write!(out, "{}", self.payments[*number]),
                Piece::Uin(number) => out.write_str(self.uins[*number].as_str()),
                Piece::Permit => out.write_str(&self.permit),
                Piece::Passport => out.write_str(&self.passport),
                Piece::Family => out.write_str(self.names[0]),
                Piece::Given => out.write_str(self.names[1]),
                Piece::Patronymic => out.write_str(self.names[2]),
                Piece::FullName => out.write_str(&self.full_name),
                Piece::BirthDate => out.write_str(&self.birth_date),
                Piece::Time(micros) => {
                    let micros = micros + self.later;
                    let seconds = micros / 1_000_000;
                    let (hour, minute) = (seconds / 3600, seconds / 60 % 60);
                    write!(
                        out,
                        "{hour:02}:{minute:02}:{:02}.{:06}",
                        seconds % 60,
                        micros % 1_000_000
                    )
                }
            };
        }
    }
}

/// Rows of some applications, as `COPY` takes them.
#[derive(Default)]
struct Chunk {
    rows: [String; TABLES.len()],
    events: String,
    words: String,
    leaves: Vec<(Uuid, Vec<u8>)>,
}

/// The templates by what they are for.
struct Stock {
    all: Vec<Template>,
    ready: Vec<usize>,
    open: Vec<usize>,
    short: Vec<usize>,
    long: Vec<usize>,
    names: [Names; 2],
}

/// A closed case of no more events is short: most variants are, so that a million of them has some millions of events.
const SHORT: usize = 9;

impl Stock {
    fn new(all: Vec<Template>) -> Self {
        let of = |test: &dyn Fn(&Template) -> bool| -> Vec<usize> {
            let found: Vec<usize> = (0..all.len()).filter(|one| test(&all[*one])).collect();
            assert!(!found.is_empty(), "the seed has no case of a kind");
            found
        };
        let over = |one: &Template| !one.ready && !one.open;
        Self {
            ready: of(&|one| one.ready),
            open: of(&|one| one.open),
            short: of(&|one| over(one) && one.events.len() <= SHORT),
            long: of(&|one| over(one) && one.events.len() > SHORT),
            names: names::all(),
            all,
        }
    }

    /// Chooses what the `number`-th variant is one of: 15 in a hundred are under way, 6 went all the way.
    fn choose(&self, ready: bool, random: &mut Random) -> &Template {
        let from = match (ready, random.below(100)) {
            (true, _) => &self.ready,
            (_, 0..15) => &self.open,
            (_, 15..21) => &self.long,
            _ => &self.short,
        };
        // Of three that are over without much ado, the one with the fewest events.
        let tries = if std::ptr::eq(from, &self.short) { 3 } else { 1 };
        let picked = (0..tries).map(|_| &self.all[from[random.below(from.len())]]);
        picked.min_by_key(|one| one.events.len()).unwrap()
    }

    fn vary(&self, number: i64, ready: bool, random: &mut Random, chunk: &mut Chunk) {
        let template = self.choose(ready, random);
        let later = 1_000 * random.below(58_000) as i64 + 1 + random.below(999) as i64;
        let at = |event: &EventTemplate| event.at + TimeDelta::microseconds(later);
        let serial = |more: usize| FIRST_SERIAL + number as u64 * 4 + more as u64;
        let woman = template.form.person.as_ref().is_some_and(|one| one.sex == Sex::Female);
        let names =
            self.names[usize::from(woman)].pick([random.next(), random.next(), random.next()]);
        let [family, given, patronymic] = names;
        let mut form = template.form.clone();
        let birth_date =
            NaiveDate::from_ymd_opt(1968, 1, 1).unwrap() + Days::new(random.next() % 13_500);
        let passport = format!("BX{number:07}");
        let mut full_name = String::new();
        if let Some(person) = &mut form.person {
            (person.family_name, person.given_name) = (family.to_owned(), given.to_owned());
            person.patronymic = template.patronymic.then(|| patronymic.to_owned());
            person.birth_date = birth_date;
            full_name = person.full_name();
        }
        let opened = at(&template.events[0]);
        let own = Own {
            application: random.id_at(opened),
            reference: Reference::from_random(random.next().to_be_bytes()),
            events: template.events.iter().map(|event| random.id_at(at(event))).collect(),
            charges: (0..template.charges).map(|_| random.id_at(opened)).collect(),
            payments: (0..template.payments).map(|_| random.id_at(opened)).collect(),
            uins: (0..template.charges).map(|one| Uin::compose("188", serial(one))).collect(),
            permit: PermitNumber::compose(&template.series, serial(0)).to_string(),
            passport,
            names,
            full_name,
            birth_date: birth_date.to_string(),
            later,
        };
        for (lines, out) in template.rows.iter().zip(&mut chunk.rows) {
            for line in lines {
                own.write(line, out);
            }
        }
        if template.found {
            if let Some(passport) = &mut form.passport {
                passport.number = PassportNumber::parse(&own.passport).unwrap();
            }
            let words: Vec<String> = lookup::words(&form).into_iter().collect();
            let all = words.join(" ");
            for word in &words {
                chunk.words +=
                    &format!("{}\t{word}\t{}\t {all} \n", template.unit, own.application);
            }
        }
        for (event, id) in template.events.iter().zip(&own.events) {
            chunk.write_event(event, *id, at(event), &own, random);
        }
    }
}

impl Chunk {
    fn write_event(
        &mut self,
        event: &EventTemplate,
        id: Uuid,
        at: DateTime<Utc>,
        own: &Own<'_>,
        random: &mut Random,
    ) {
        use std::fmt::Write as _;
        let mut content = String::with_capacity(1024);
        own.write(&event.content, &mut content);
        let mut salt = [0; 32];
        for part in salt.chunks_mut(8) {
            part.copy_from_slice(&random.next().to_be_bytes());
        }
        let private = Private {
            event: id,
            at,
            actor: event.actor,
            role: &event.role,
            application: Some(own.application),
            command: Some(&event.command),
            from: Some(&event.from),
            to: Some(&event.to),
            purpose: None,
            subjects: &[],
            content: &content,
        };
        let seal = private.seal(salt);
        let out = &mut self.events;
        let actor = event.actor.map_or("\\N".to_owned(), |id| id.to_string());
        let _ = write!(
            out,
            "{id}\t{}.{:06}+00\t{}\t{actor}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t",
            at.format("%Y-%m-%d %H:%M:%S"),
            at.nanosecond() / 1000,
            event.kind,
            event.role,
            event.unit,
            own.application,
            event.seq,
            event.track,
            event.workflow,
            event.command,
            event.from,
            event.to,
        );
        if content.contains('\\') {
            out.push_str(&escape(&content));
        } else {
            out.push_str(&content);
        }
        out.push('\t');
        hex(out, &salt);
        out.push('\t');
        hex(out, &seal.commitment);
        out.push('\t');
        hex(out, &seal.pseudonym.unwrap_or_default());
        out.push('\n');
        let leaf = Leaf {
            at: at.timestamp(),
            commitment: seal.commitment,
            event: id,
            kind: event.kind.clone(),
            pseudonym: seal.pseudonym,
            seq: Some(event.seq),
            track: Some(event.track.clone()),
            unit: Some(event.unit.clone()),
            workflow: Some(event.workflow),
        };
        self.leaves.push((id, leaf.encode()));
    }
}

fn hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push_str("\\\\x");
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

// ── The log ──────────────────────────────────────────────────────────────────────────────────────────────────

/// The tree as it grows, and its rows.
#[derive(Default)]
struct Log {
    edge: Edge,
    leaves: String,
    tiles: String,
}

impl Log {
    fn push(&mut self, event: Uuid, leaf: Vec<u8>) {
        use std::fmt::Write as _;
        let _ = writeln!(self.leaves, "{}\t{event}", self.edge.size());
        let mut full = Vec::new();
        self.edge.push(leaf, &mut full).unwrap();
        for tile in full {
            let level = match tile.level {
                Level::Entries => -1,
                Level::Hashes(level) => i32::from(level),
            };
            let _ = write!(self.tiles, "{level}\t{}\t", tile.index);
            hex(&mut self.tiles, &tile.bytes);
            self.tiles.push('\t');
            match tile.root {
                Some(root) => hex(&mut self.tiles, &root),
                None => self.tiles.push_str("\\N"),
            }
            self.tiles.push('\n');
        }
    }

    /// Numbers what the seed wrote.
    async fn begin(sql: &Client) -> Self {
        let mut log = Self::default();
        let text = "SELECT id::text, extract(epoch FROM date_trunc('second', at))::bigint, kind, commitment, pseudonym, \
             seq, track, unit_code, workflow_version FROM events e \
             WHERE NOT EXISTS (SELECT FROM log_leaves) ORDER BY e.id";
        for row in sql.query(text, &[]).await.unwrap() {
            let event: Uuid = row.get::<_, String>(0).parse().unwrap();
            let leaf = Leaf {
                at: row.get(1),
                commitment: row.get::<_, Vec<u8>>(3).try_into().unwrap(),
                event,
                kind: row.get(2),
                pseudonym: row.get::<_, Option<Vec<u8>>>(4).map(|half| half.try_into().unwrap()),
                seq: row.get(5),
                track: row.get(6),
                unit: row.get(7),
                workflow: row.get(8),
            };
            log.push(event, leaf.encode());
        }
        log
    }
}

// ── Filling ──────────────────────────────────────────────────────────────────────────────────────────────────

/// A table that rows flow into.
struct Into {
    _client: Client,
    sink: Pin<Box<CopyInSink<Cursor<String>>>>,
}

impl Into {
    async fn open(url: &str, what: &str) -> Self {
        let client = connect(url).await;
        client
            .batch_execute("SET session_replication_role = replica; SET synchronous_commit = off")
            .await
            .unwrap();
        let sink = client.copy_in(&format!("COPY {what} FROM STDIN")).await.unwrap();
        Self { _client: client, sink: Box::pin(sink) }
    }

    async fn take(&mut self, rows: &mut String) {
        if !rows.is_empty() {
            self.sink.send(Cursor::new(std::mem::take(rows))).await.unwrap();
        }
    }
}

/// Fills the database that [`seed`] made up to `many` applications, `ready` of them drafts that can be handed in.
pub async fn fill(url: &str, many: i64, ready: i64) -> Filled {
    let began = Instant::now();
    let sql = connect(url).await;
    let templates = templates(&sql).await;
    let known = i64::try_from(templates.len()).unwrap();
    let stock = Arc::new(Stock::new(templates));
    let variants = (many - known).max(0);
    let mut log = Log::begin(&sql).await;
    sql.batch_execute(
        "CREATE TEMP TABLE later AS SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS at, \
           replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ') AS made_by FROM pg_index i \
           WHERE i.indrelid IN ('applications'::regclass, 'checks'::regclass, 'charges'::regclass, 'payments'::regclass, \
             'jobs'::regclass, 'application_words'::regclass, 'events'::regclass) \
           AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid); \
         DO $$ DECLARE one record; BEGIN FOR one IN SELECT * FROM later LOOP EXECUTE 'DROP INDEX ' || one.name; END LOOP; END $$; \
         ALTER TABLE events DROP CONSTRAINT events_pkey; \
         ALTER TABLE log_leaves DROP CONSTRAINT log_leaves_pkey, DROP CONSTRAINT log_leaves_event_id_key",
    )
    .await
    .unwrap();
    let mut tables = Vec::new();
    for (table, _) in TABLES {
        let columns = columns(&sql, table).await.join(", ");
        tables.push(Into::open(url, &format!("{table} ({columns})")).await);
    }
    let mut events = Into::open(url, EVENTS).await;
    let mut words = Into::open(url, WORDS).await;
    let mut leaves = Into::open(url, LEAVES).await;
    let mut tiles = Into::open(url, TILES).await;
    let read = began.elapsed().as_secs_f64();
    let (send, mut receive) = mpsc::channel::<Chunk>(2);
    let next = Arc::new(AtomicI64::new(0));
    for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
        let (stock, next, send) = (Arc::clone(&stock), Arc::clone(&next), send.clone());
        std::thread::spawn(move || {
            loop {
                let begin = next.fetch_add(CHUNK, Ordering::Relaxed);
                if begin >= variants {
                    return;
                }
                let mut random = Random(0xbe9c_0000 + begin as u64);
                let mut chunk = Chunk::default();
                // Drafts lie among the others, as they would.
                let share = |number: i64| number * ready / variants.max(1);
                for number in begin..(begin + CHUNK).min(variants) {
                    let is_ready = share(number + 1) > share(number);
                    stock.vary(number, is_ready, &mut random, &mut chunk);
                }
                if send.blocking_send(chunk).is_err() {
                    return;
                }
            }
        });
    }
    drop(send);
    while let Some(mut chunk) = receive.recv().await {
        for (table, rows) in tables.iter_mut().zip(&mut chunk.rows) {
            table.take(rows).await;
        }
        events.take(&mut chunk.events).await;
        words.take(&mut chunk.words).await;
        for (event, leaf) in chunk.leaves {
            log.push(event, leaf);
        }
        leaves.take(&mut log.leaves).await;
        tiles.take(&mut log.tiles).await;
    }
    leaves.take(&mut log.leaves).await;
    tiles.take(&mut log.tiles).await;
    for mut one in tables.into_iter().chain([events, words, leaves, tiles]) {
        one.sink.as_mut().finish().await.unwrap();
    }
    let copied = began.elapsed().as_secs_f64();
    finish(url, &sql, many).await;
    let took = [read, copied - read, began.elapsed().as_secs_f64() - copied];
    Filled { applications: many.max(known), events: log.edge.size(), took }
}

/// Makes the indexes, on two connections, and moves the sequences and the sequencer on.
async fn finish(url: &str, sql: &Client, many: i64) {
    let settings = "SET maintenance_work_mem = '768MB'; SET synchronous_commit = off";
    sql.batch_execute(settings).await.unwrap();
    let other = connect(url).await;
    other.batch_execute(settings).await.unwrap();
    let list = rows(sql, "SELECT at, made_by FROM later ORDER BY name").await;
    let mut ways: [Vec<String>; 2] = [
        vec!["ALTER TABLE events ADD CONSTRAINT events_pkey PRIMARY KEY (id)".to_owned()],
        vec![
            "ALTER TABLE log_leaves ADD CONSTRAINT log_leaves_pkey PRIMARY KEY (index)".to_owned(),
            "ALTER TABLE log_leaves ADD CONSTRAINT log_leaves_event_id_key UNIQUE (event_id)"
                .to_owned(),
        ],
    ];
    for row in list {
        let [Some(at), Some(made_by)] = &row[..] else { continue };
        ways[usize::from(at != "events")].push(made_by.clone());
    }
    let make = async |sql: &Client, statements: &[String]| {
        for one in statements {
            sql.batch_execute(one).await.unwrap_or_else(|error| panic!("{one}: {error:?}"));
        }
    };
    tokio::join!(make(sql, &ways[0]), make(&other, &ways[1]));
    let serial = FIRST_SERIAL + many.unsigned_abs() * 4 + 4;
    sql.batch_execute(&format!(
        "SELECT setval('charge_serials', {serial}), setval('permit_serials', {serial}); \
         UPDATE log_position SET next_xact = pg_snapshot_xmax(pg_current_snapshot())::text::bigint, open = '{{}}'"
    ))
    .await
    .unwrap();
    let vacuum = |tables: &str| vec![format!("VACUUM ANALYZE {tables}")];
    let (log, cases) = (
        vacuum("events, log_leaves, log_tiles"),
        vacuum(
            "applications, checks, charges, payments, permits, jobs, application_words, accounts",
        ),
    );
    tokio::join!(make(sql, &log), make(&other, &cases));
}
