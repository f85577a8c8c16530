//! One database with a service on it, and the requests that can be made of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::rc::Rc;

use chrono::TimeDelta;
use propusk::clock::{Clock as _, SystemClock};
use propusk::domain::actor::Role;
use tokio_postgres::Client;

use super::cases::rows;
use super::http::{Source, request};
use super::service::{Running, Tickets, Who};

/// The unit that is measured.
pub const UNIT: &str = "77";

/// Public look-ups that are repeated.
const HOT: usize = 16;

/// Public look-ups that are made once each, at most.
const COLD: usize = 200_000;

/// Addresses that look-ups come from.
const ADDRESSES: u32 = 4_096;

/// What officers type.
const TYPED: [&str; 6] = [
    "%D0%BA%D0%B0%D1%80%D0%B8%D0%BC%20%D1%80%D1%83%D1%81",
    "%D0%BA%D0%B0%D1%80%D0%B8%D0%BC%D0%BE%D0%B2%20%D1%83%D0%BB%D1%83%D0%B3%D0%B1%D0%B5%D0%BA",
    "rahimov%20aziz",
    "karimova%20zarina",
    "bx0000123",
    "%D0%A5%D0%B0%D0%BA%D0%B8%D0%BC%D0%BE%D0%B2",
];

/// An application under a command that can be given again and again.
#[derive(Clone)]
struct Case {
    id: String,
    version: i64,
    check: String,
}

/// One database, its service, and who and what is in it.
pub struct Office {
    /// How many applications it was filled with.
    pub size: i64,
    /// The database's name.
    pub database: &'static str,
    /// The database's URL.
    pub url: String,
    /// The owner's connection.
    pub sql: Client,
    /// The service on it.
    pub service: Running,
    tickets: Tickets,
    migrant: Who,
    auditor: Who,
    officers: Vec<Who>,
    deciding: Who,
    ready: RefCell<VecDeque<String>>,
    cases: RefCell<Vec<Case>>,
    references: Vec<String>,
    applications: Vec<String>,
    uins: RefCell<VecDeque<(String, i64)>>,
    next: Cell<usize>,
}

/// Gives every request that is made a number of its own.
fn number() -> u64 {
    thread_local!(static NEXT: Cell<u64> = const { Cell::new(0) });
    NEXT.with(|next| {
        next.set(next.get() + 1);
        next.get()
    })
}

fn key() -> String {
    format!("Idempotency-Key: bench-{}-{}\r\n", std::process::id(), number())
}

fn one(mut row: Vec<Option<String>>) -> String {
    row.swap_remove(0).unwrap()
}

impl Office {
    /// Looks at who and what there is, and adds colleagues.
    pub async fn open(
        (size, database): (i64, &'static str),
        url: String,
        sql: Client,
        service: Running,
    ) -> Self {
        let who = async |email: &str, role: Role, unit: Option<&str>| -> Who {
            let text =
                format!("SELECT id FROM accounts WHERE email = '{email}@demo.propusk.example'");
            let id = one(rows(&sql, &text).await.remove(0)).parse().unwrap();
            Who { id, role, unit: unit.map(str::to_owned) }
        };
        let migrant = who("migrant", Role::Migrant, None).await;
        let auditor = who("auditor", Role::Auditor, None).await;
        let deciding = who("officer2", Role::Officer, Some(UNIT)).await;
        let mut officers = vec![who("officer1", Role::Officer, Some(UNIT)).await];
        sql.batch_execute(&format!(
            "INSERT INTO accounts (id, email, name, role, unit_code, password_hash, created_at) \
             SELECT gen_random_uuid(), 'bench' || n || '@demo.propusk.example', 'Officer ' || n, 'officer', '{UNIT}', '', \
             now() FROM generate_series(1, 63) AS n"
        ))
        .await
        .unwrap();
        for number in 1..64 {
            officers.push(who(&format!("bench{number}"), Role::Officer, Some(UNIT)).await);
        }
        let list = async |text: &str| -> Vec<String> {
            rows(&sql, text).await.into_iter().map(one).collect()
        };
        let ready = list(
            "SELECT id FROM applications WHERE state = 'draft' AND form -> 'contact' ->> 'email' LIKE '%@bench.example' \
             ORDER BY md5(id::text)",
        )
        .await;
        let references = list(&format!(
            "SELECT reference FROM applications ORDER BY md5(reference) LIMIT {COLD}"
        ))
        .await;
        let applications =
            list("SELECT id FROM applications WHERE version > 6 ORDER BY md5(id::text) LIMIT 5000")
                .await;
        let uins = rows(
            &sql,
            "SELECT c.uin, c.amount_kopecks - c.paid_kopecks FROM charges c JOIN applications a ON a.id = c.application_id \
             WHERE c.status = 'open' AND a.state IN ('awaitingDuty', 'awaitingPayment') ORDER BY md5(c.uin) LIMIT 40000",
        )
        .await;
        let uins = uins
            .into_iter()
            .map(|row| (row[0].clone().unwrap(), row[1].as_ref().unwrap().parse().unwrap()));
        let uins = RefCell::new(uins.collect());
        Self {
            size,
            database,
            url,
            sql,
            service,
            tickets: Tickets::new(),
            migrant,
            auditor,
            officers,
            deciding,
            ready: RefCell::new(ready.into()),
            cases: RefCell::default(),
            references,
            applications,
            uins,
            next: Cell::new(0),
        }
    }

    /// Gives applications, of the unit that is measured or of the others, whose passport check an officer can answer; `many`
    /// at most.
    pub async fn checking(&self, own: bool, many: usize) -> Vec<String> {
        let whose = if own { "=" } else { "<>" };
        let text = format!(
            "SELECT a.id FROM applications a JOIN checks c ON c.application_id = a.id AND c.id = 'passport' \
             WHERE a.state = 'checking' AND a.unit_code {whose} '{UNIT}' AND c.outcome IS DISTINCT FROM 'hit' \
             ORDER BY md5(a.id::text) LIMIT {many}"
        );
        rows(&self.sql, &text).await.into_iter().map(one).collect()
    }

    /// Takes these as the applications that commands are given to again and again.
    pub async fn work_on(&self, cases: &[String]) {
        let ids = quoted(cases);
        let text = format!(
            "SELECT id, version FROM applications WHERE id IN ({ids}) ORDER BY md5(id::text)"
        );
        *self.cases.borrow_mut() = rows(&self.sql, &text)
            .await
            .into_iter()
            .map(|row| Case {
                id: row[0].clone().unwrap(),
                version: row[1].as_ref().unwrap().parse().unwrap(),
                check: "passport".to_owned(),
            })
            .collect();
    }

    // ── Look-ups ─────────────────────────────────────────────────────────────────────────────────────────────

    /// The same few references, again and again.
    pub fn hot(&self, path: &'static str, many: usize) -> Vec<Source> {
        self.lookups(path, self.references[..HOT.min(self.references.len())].to_vec(), many)
    }

    /// Each reference once.
    pub fn cold(&self, path: &'static str, many: usize) -> Vec<Source> {
        let mut references = self.references.clone();
        references.rotate_left(self.next.get() % self.references.len());
        self.lookups(path, references, many)
    }

    /// As [`cold`](Self::cold) and [`hot`](Self::hot), for all connections together; a slice goes on where the last one
    /// ended.
    fn lookups(&self, path: &'static str, references: Vec<String>, many: usize) -> Vec<Source> {
        let references: Rc<[String]> = references.into();
        let next = Rc::new(Cell::new(0_usize));
        self.next.set(self.next.get() + 23_456);
        let source = |_| {
            let (references, next) = (Rc::clone(&references), Rc::clone(&next));
            Box::new(move || {
                let at = next.get();
                next.set(at + 1);
                Some(lookup(path, &references[at % references.len()]))
            }) as Source
        };
        (0..many).map(source).collect()
    }

    // ── Commands that can be given again ─────────────────────────────────────────────────────────────────────

    /// An officer records the answer to a check; each connection has applications of its own.
    pub fn findings(&self, many: usize) -> Vec<Source> {
        let token: Rc<str> = self.tickets.token(&self.officers[0]).into();
        self.shares(many)
            .into_iter()
            .map(|mut cases| {
                let token = Rc::clone(&token);
                Box::new(move || Some(again(&mut cases, &token))) as Source
            })
            .collect()
    }

    fn shares(&self, many: usize) -> Vec<VecDeque<Case>> {
        let mut shares = vec![VecDeque::new(); many];
        let cases = self.cases.borrow();
        assert!(cases.len() >= many, "too few applications are being checked: fill in more");
        for (number, case) in cases.iter().enumerate() {
            shares[number % many].push_back(case.clone());
        }
        shares
    }

    /// Status look-ups, commands and payments as an office has them: 80, 12 and 8 in a hundred.
    pub fn mixed(self: &Rc<Self>, many: usize) -> Vec<Source> {
        let token: Rc<str> = self.tickets.token(&self.officers[0]).into();
        let now = SystemClock.now();
        let hot = self.hot(STATUS, many);
        let cold = self.cold(STATUS, many);
        let all = self.shares(many).into_iter().zip(hot).zip(cold);
        all.map(|((mut cases, mut hot), mut cold)| {
            let (token, office) = (Rc::clone(&token), Rc::clone(self));
            let mut turn = number() * 17;
            Box::new(move || {
                turn += 1;
                match turn * 37 % 100 {
                    0..40 => hot(),
                    40..80 => cold(),
                    80..92 => Some(again(&mut cases, &token)),
                    _ => match office.uins.borrow_mut().pop_front() {
                        Some((uin, kopecks)) => Some(office.tickets.payment(&uin, kopecks, now)),
                        None => cold(),
                    },
                }
            }) as Source
        })
        .collect()
    }

    // ── The office's and the auditor's reads ─────────────────────────────────────────────────────────────────

    /// The first page of a queue.
    pub fn queue(&self, many: usize) -> Vec<Source> {
        self.same(many, &self.officers[0], &["/v1/queues/checks/applications".to_owned()])
    }

    /// Searches.
    pub fn search(&self, many: usize) -> Vec<Source> {
        let paths: Vec<String> =
            TYPED.iter().map(|typed| format!("/v1/search?q={typed}")).collect();
        self.same(many, &self.officers[0], &paths)
    }

    /// The log by application, by who acted, by time.
    pub fn audit(&self, by: &str, many: usize) -> Vec<Source> {
        let now = SystemClock.now();
        let paths: Vec<String> = match by {
            "case" => self
                .applications
                .iter()
                .map(|id| format!("/v1/audit/events?application={id}&limit=20"))
                .collect(),
            "actor" => vec![format!("/v1/audit/events?actor={}&limit=20", self.officers[0].id)],
            _ => (1..200)
                .map(|days| {
                    let at = |hours: i64| {
                        (now - TimeDelta::days(days) + TimeDelta::hours(hours))
                            .format("%Y-%m-%dT%H:%M:%SZ")
                    };
                    format!("/v1/audit/events?from={}&to={}&limit=20", at(0), at(6))
                })
                .collect(),
        };
        self.same(many, &self.auditor, &paths)
    }

    fn same(&self, many: usize, who: &Who, paths: &[String]) -> Vec<Source> {
        let token = self.tickets.token(who);
        let all: Rc<[Vec<u8>]> =
            paths.iter().map(|path| request("GET", path, Some(&token), "", "")).collect();
        (0..many)
            .map(|from| {
                let (all, mut at) = (Rc::clone(&all), from * 7);
                Box::new(move || {
                    at += 1;
                    Some(all[at % all.len()].clone())
                }) as Source
            })
            .collect()
    }

    // ── Claims ───────────────────────────────────────────────────────────────────────────────────────────────

    /// Claims the next application; each connection is an officer.
    pub fn claims(&self, many: usize) -> Vec<Source> {
        (0..many)
            .map(|number| {
                let token = self.tickets.token(&self.officers[number % self.officers.len()]);
                Box::new(move || {
                    Some(request("POST", "/v1/queues/checks/claims", Some(&token), &key(), ""))
                }) as Source
            })
            .collect()
    }

    /// Gives back what is claimed.
    pub async fn releases(&self) -> Vec<Vec<u8>> {
        let tokens: Vec<(String, String)> =
            self.officers.iter().map(|who| (who.id.to_string(), self.tickets.token(who))).collect();
        let text = "SELECT id, version, claimed_by FROM applications WHERE claimed_by IS NOT NULL";
        let held = rows(&self.sql, text).await.into_iter().filter_map(|row| {
            let [Some(id), Some(version), Some(by)] = &row[..] else { return None };
            let (_, token) = tokens.iter().find(|(who, _)| who == by)?;
            let path = format!("/v1/applications/{id}/claim");
            Some(request("DELETE", &path, Some(token), &if_match(version), ""))
        });
        held.collect()
    }

    // ── The walk ─────────────────────────────────────────────────────────────────────────────────────────────

    /// Takes drafts for a walk, `many` at most.
    pub fn drafts(&self, many: usize) -> Vec<String> {
        let mut ready = self.ready.borrow_mut();
        let many = many.min(ready.len());
        ready.drain(..many).collect()
    }

    /// Those of `cases` that are in `state`, with their versions.
    async fn versions(&self, cases: &[String], state: &str, more: &str) -> Vec<(String, String)> {
        let text = format!(
            "SELECT a.id, a.version FROM applications a WHERE a.state = '{state}' AND a.id IN ({}) {more}",
            quoted(cases)
        );
        let found = rows(&self.sql, &text).await.into_iter();
        found.map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap())).collect()
    }

    /// One command for each of `cases` that is in `state`; a decision for those alone whose checks are clear.
    pub async fn commands(&self, cases: &[String], state: &str, command: &str) -> Vec<Vec<u8>> {
        let who = match command {
            "submit" => &self.migrant,
            "grant" | "handOver" => &self.deciding,
            _ => &self.officers[0],
        };
        let more = if command == "grant" {
            "AND NOT EXISTS (SELECT FROM checks c WHERE c.application_id = a.id AND c.outcome IS DISTINCT FROM 'clear')"
        } else {
            ""
        };
        let token = self.tickets.token(who);
        let body = format!(r#"{{"command":"{command}"}}"#);
        let found = self.versions(cases, state, more).await;
        found.iter().map(|(id, version)| give(id, version, &token, &body)).collect()
    }

    /// The answers to all checks that have no good one, each application's one after another.
    pub async fn open_checks(&self, cases: &[String], many: usize) -> Vec<Source> {
        let token: Rc<str> = self.tickets.token(&self.officers[0]).into();
        let text = format!(
            "SELECT a.id, a.version, c.id FROM applications a JOIN checks c ON c.application_id = a.id \
             WHERE a.state = 'checking' AND c.outcome IS DISTINCT FROM 'clear' AND a.id IN ({}) ORDER BY a.id, c.id",
            quoted(cases)
        );
        let mut each: VecDeque<VecDeque<Case>> = VecDeque::new();
        for row in rows(&self.sql, &text).await {
            let Ok([Some(id), Some(version), Some(check)]) = <[_; 3]>::try_from(row) else {
                continue;
            };
            if each.back().is_none_or(|last| last[0].id != id) {
                each.push_back(VecDeque::new());
            }
            let own = each.back_mut().unwrap();
            let version: i64 = version.parse::<i64>().unwrap() + own.len() as i64;
            own.push_back(Case { id, version, check });
        }
        let each = Rc::new(RefCell::new(each));
        (0..many)
            .map(|_| {
                let (each, token) = (Rc::clone(&each), Rc::clone(&token));
                let mut own: VecDeque<Case> = VecDeque::new();
                Box::new(move || {
                    if own.is_empty() {
                        own = each.borrow_mut().pop_front()?;
                    }
                    own.pop_front().map(|case| finding(&case, &token))
                }) as Source
            })
            .collect()
    }

    /// The provider's messages about all that `cases` owe.
    pub async fn payments(&self, cases: &[String]) -> Vec<Vec<u8>> {
        let text = format!(
            "SELECT uin, amount_kopecks - paid_kopecks FROM charges WHERE status = 'open' AND application_id IN ({})",
            quoted(cases)
        );
        let now = SystemClock.now();
        let owed = rows(&self.sql, &text).await.into_iter();
        owed.map(|row| {
            let kopecks = row[1].as_ref().unwrap().parse().unwrap();
            self.tickets.payment(row[0].as_ref().unwrap(), kopecks, now)
        })
        .collect()
    }
}

/// The public look-up.
pub const STATUS: &str = "/v1/status/";

fn lookup(path: &str, reference: &str) -> Vec<u8> {
    let from = number() as u32 % ADDRESSES;
    let mut out = String::with_capacity(160);
    let _ = write!(
        out,
        "GET {path}{reference} HTTP/1.1\r\nHost: bench\r\nX-Forwarded-For: 198.18.{}.{}\r\n\r\n",
        from / 256,
        from % 256
    );
    out.into_bytes()
}

fn if_match(version: &str) -> String {
    format!("If-Match: \"v{version}\"\r\n")
}

fn give(id: &str, version: &str, token: &str, body: &str) -> Vec<u8> {
    let fields = if_match(version) + &key();
    request("POST", &format!("/v1/applications/{id}/commands"), Some(token), &fields, body)
}

fn finding(case: &Case, token: &str) -> Vec<u8> {
    let body =
        format!(r#"{{"command":"recordFinding","check":"{}","outcome":"clear"}}"#, case.check);
    give(&case.id, &case.version.to_string(), token, &body)
}

/// The next of `cases`, which has one more event then.
fn again(cases: &mut VecDeque<Case>, token: &str) -> Vec<u8> {
    let mut case = cases.pop_front().unwrap();
    let bytes = finding(&case, token);
    case.version += 1;
    cases.push_back(case);
    bytes
}

fn quoted(ids: &[String]) -> String {
    let quoted: Vec<String> = ids.iter().map(|id| format!("'{id}'")).collect();
    if quoted.is_empty() { "NULL".to_owned() } else { quoted.join(", ") }
}
