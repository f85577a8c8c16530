//! Calendars that change while the office works: put in force for all at once, and what was promised is moved by events.

use std::process::{Command as Process, Output};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use propusk::app;
use propusk::auth::OPERATOR;
use propusk::casework::calendars::{Draft, Move, Pass};
use propusk::casework::{Casework, Seen};
use propusk::domain::application::{Application, InformationKind};
use propusk::domain::event::{Act, BuiltIn, Job, Scheduled};
use propusk::domain::workflow::command::{Answer, Command, RequestedItem};
use propusk::domain::workflow::embedded::FILES;
use propusk::error::{Error, ErrorCode};
use propusk::storage::rule_files::Loading;
use propusk::storage::{Db, DbOptions, jobs, log, migrate};
use propusk::worker::redate::RedateHandler;
use propusk::worker::timer::TimerHandler;
use propusk::worker::{Handler, Handlers, Outcome, Task, Wake, Worker, WorkerOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{ADMINISTRATOR, MIGRANT, OFFICER, Reply, TestApp};
use crate::support::db::test_dir;
use crate::support::drive::Case;
use crate::support::office::{Office, render};

const FILE: &str = "russia-2026.toml";

/// The register that answers the check `entryBan`.
const REGISTER: &str = "controlledPersons";

/// The calendar of 2026 that ships, with further days off and weekends that are worked.
pub fn calendar(off: &[&str], worked: &[&str]) -> String {
    let (_, text) = FILES.iter().find(|(path, _)| path.ends_with(FILE)).unwrap();
    let off: String = off.iter().map(|day| format!("    {day},\n")).collect();
    text.replace("working_days = 247\n", "")
        .replace("    2026-12-31,\n", &format!("    2026-12-31,\n{off}"))
        .replace("working_weekends = []", &format!("working_weekends = [{}]", worked.join(", ")))
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Does nothing.
struct Idle;

impl Handler for Idle {
    fn run<'a>(&'a self, _: &'a Task) -> BoxFuture<'a, Outcome> {
        async { Outcome::Done }.boxed()
    }
}

impl Office {
    /// Hands in and takes in.
    async fn accepted(&self, track: &str, passport: &str) -> Uuid {
        let who = if track == "patent" { &self.migrant } else { &self.employer };
        let id = self.submitted(who, track, passport).await;
        self.give(&self.anna, id, Command::Accept).await.unwrap();
        id
    }

    async fn due(&self, id: Uuid) -> Option<NaiveDate> {
        self.now(id).await.application.due_on
    }

    async fn draft_of(&self, text: &str) -> Draft {
        self.casework.draft_calendar(FILE, text, None).await.unwrap()
    }

    async fn load(&self, text: &str) -> i64 {
        let draft = self.draft_of(text).await;
        match self.casework.load_calendar(&draft, OPERATOR, None).await.unwrap() {
            Loading::Registered(number) => number,
            other => panic!("{other:?}"),
        }
    }

    async fn moves(&self, draft: &Draft) -> Vec<Move> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (moves, last) = self.casework.moves(draft, after).await.unwrap();
            all.extend(moves);
            if last.is_none() {
                return all;
            }
            after = last;
        }
    }

    async fn redate(&self) -> Pass {
        let mut pass = Pass::default();
        while self.casework.redate_some(&mut pass).await.unwrap() {}
        pass
    }

    /// The timer's jobs that wait, by command.
    async fn timers(&self, id: Uuid) -> Vec<(String, DateTime<Utc>)> {
        let jobs = "SELECT payload ->> 'command', to_char(run_at AT TIME ZONE 'UTC', \
                    'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM jobs WHERE kind = 'timer' \
                    AND payload ->> 'application' = $1 AND finished_at IS NULL ORDER BY 1";
        let rows = self.owner().await.query(jobs, &[&id.to_string()]).await.unwrap();
        rows.iter().map(|row| (row.get(0), at(row.get(1)))).collect()
    }

    fn worker(&self) -> Worker {
        let idle: Arc<dyn Handler> = Arc::new(Idle);
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let redate = RedateHandler::new(db.clone(), clock.clone(), self.casework.clone());
        let handlers = Handlers {
            timer: Arc::new(TimerHandler::new(Arc::new(self.casework.clone()))),
            redate: Arc::new(redate),
            alert: Arc::clone(&idle),
            mail: Arc::clone(&idle),
            registers: Arc::clone(&idle),
            money: Arc::clone(&idle),
            leaving: Arc::clone(&idle),
            papers: Arc::clone(&idle),
            documents: idle,
        };
        Worker::new(db, clock, handlers, Wake::default(), WorkerOptions::default())
    }

    /// Another process on the same database.
    fn other_process(&self) -> Casework {
        let (db, clock) = (self.db.clone(), self.clock.clone());
        let lease = TimeDelta::minutes(30);
        Casework::new(db, Arc::clone(&self.rules), clock, lease, Arc::new(|| ()))
    }

    /// One application of every sort: those whose date can move, and those whose must not.
    async fn busy(&self) -> Vec<Uuid> {
        let running = self.accepted("patent", "FA0000001").await;
        let specialist = self.accepted("highly-qualified-specialist", "FA0000002").await;
        let extended = self.accepted("patent", "FA0000003").await;
        let extend = Command::ExtendClock {
            working_days: 3,
            reason: "another country is asked".into(),
            basis: "order 4".into(),
        };
        self.give(&self.senior, extended, extend).await.unwrap();
        let suspended = self.accepted("patent", "FA0000004").await;
        self.ask(suspended).await;
        let decided = self.checked("patent", "FA0000005").await;
        let refuse = Command::Refuse {
            grounds: crate::support::cases::grounds("G01"),
            reason: "forged".into(),
        };
        self.give(&self.boris, decided, refuse).await.unwrap();
        let withdrawn = self.accepted("patent", "FA0000006").await;
        let withdraw = Command::Withdraw { reason: None };
        self.give(&self.migrant, withdrawn, withdraw).await.unwrap();
        let submitted = self.submitted(&self.migrant, "patent", "FA0000007").await;
        let draft = self.draft(&self.migrant, "patent", "FA0000008").await.unwrap();
        vec![running, specialist, extended, suspended, decided, withdrawn, submitted, draft]
    }

    async fn ask(&self, id: Uuid) {
        let item = RequestedItem {
            kind: InformationKind::Visit,
            subject: "fingerprints".into(),
            reason: "none were taken".into(),
            due_on: day("2026-03-16"),
            check: None,
            document: None,
            field: None,
        };
        let ask = Command::RequestInformation { items: vec![item] };
        self.give(&self.anna, id, ask).await.unwrap();
    }

    async fn all(&self, ids: &[Uuid]) -> Vec<Application> {
        let mut all = Vec::new();
        for id in ids {
            all.push(self.now(*id).await.application);
        }
        all
    }
}

#[tokio::test]
async fn a_trial_lists_exactly_what_then_moves_and_changes_nothing() {
    let office = Office::open().await;
    let ids = office.busy().await;
    let before = office.all(&ids).await;
    // Taken in on Tuesday, 10 March: the tenth working day is the 24th.
    assert_eq!(before[0].due_on, Some(day("2026-03-24")));
    let draft = office.draft_of(&calendar(&["2026-03-20", "2026-03-27"], &[])).await;
    let changed: Vec<_> = draft.days.iter().map(|changed| changed.date).collect();
    assert_eq!(changed, [day("2026-03-20"), day("2026-03-27")]);
    assert_eq!((draft.past, draft.is_new_year()), (0, false));
    let moves = office.moves(&draft).await;
    assert_eq!(office.all(&ids).await, before, "a trial changes nothing");
    assert_eq!(office.redate().await.moved, 0);

    office.casework.load_calendar(&draft, OPERATOR, None).await.unwrap();
    let pass = office.redate().await;
    assert_eq!((pass.moved, pass.failed), (moves.len(), 0));
    let after = office.all(&ids).await;
    let mut moved = Vec::new();
    for (one, other) in before.iter().zip(&after) {
        let events = office.agreed(one.id).await;
        let redated = events.iter().filter(|it| it.act == Act::BuiltIn(BuiltIn::Redate)).count();
        let Some(listed) = moves.iter().find(|it| it.id == one.id) else {
            assert_eq!((one, redated), (other, 0), "what is not listed does not move");
            continue;
        };
        assert_eq!((listed.from.due_on, listed.to.due_on), (one.due_on, other.due_on));
        assert_eq!(listed.to.standard_due_on, other.standard_due_on);
        assert_eq!((redated, other.version), (1, one.version + 1));
        assert_eq!(other.clock, one.clock, "what is counted has not changed, only the calendar");
        moved.push(one.id);
    }
    // The specialist has 14 working days, until the 30th; the extension leads to the 27th.
    assert_eq!(moved, ids[..3]);
    let dates: Vec<_> = after[..3].iter().map(|it| it.due_on.unwrap().to_string()).collect();
    assert_eq!(dates, ["2026-03-25", "2026-04-01", "2026-03-31"]);
    assert_eq!(after[2].standard_due_on, Some(day("2026-03-25")));
    let by = |id: &Uuid| moves.iter().find(|it| it.id == *id).map(|it| (it.days, it.working_days));
    let by: Vec<_> = ids[..3].iter().map(|id| by(id).unwrap()).collect();
    assert_eq!(by, [(Some(1), Some(1)), (Some(2), Some(2)), (Some(4), Some(2))]);
    assert_eq!(office.redate().await.moved, 0, "a second time there is nothing left");
}

#[tokio::test]
async fn the_event_tells_both_dates_and_the_calendar() {
    let office = Office::open().await;
    let id = office.accepted("patent", "FA1234567").await;
    let number = office.load(&calendar(&["2026-03-20"], &[])).await;
    office.redate().await;
    let events = office.agreed(id).await;
    let last = events.last().unwrap();
    assert_eq!((last.act.event(), last.actor.role_name()), ("redated", "timer"));
    assert_eq!((last.from.as_str(), last.to.as_str()), ("checking", "checking"));
    assert_eq!(
        last.request,
        json!({ "calendar": number, "dueOn": { "from": "2026-03-24", "to": "2026-03-25" } })
    );
}

#[tokio::test]
async fn a_re_dating_that_was_killed_half_way_goes_on_and_moves_nothing_twice() {
    let office = Office::open().await;
    let mut ids = Vec::new();
    for number in 1..=5 {
        ids.push(office.accepted("patent", &format!("FA000000{number}")).await);
    }
    ids.sort_unstable();
    office.load(&calendar(&["2026-03-20"], &[])).await;
    // Killed after a page, and within the next.
    let mut killed = Pass { page: Some(2), ..Pass::default() };
    assert!(office.casework.redate_some(&mut killed).await.unwrap());
    assert_eq!((killed.seen, killed.moved, killed.after), (2, 2, Some(ids[1])));
    assert!(office.casework.redate(ids[2]).await.unwrap());
    // The job that the load has left begins again, in another process.
    let report = office.worker().drain().await.unwrap();
    assert_eq!((report.retried.len(), report.dead.len()), (0, 0), "{report:?}");
    for id in &ids {
        let events = office.agreed(*id).await;
        let redated = events.iter().filter(|it| it.act == Act::BuiltIn(BuiltIn::Redate)).count();
        assert_eq!((office.due(*id).await, redated), (Some(day("2026-03-25")), 1));
    }
}

#[tokio::test]
async fn the_job_goes_on_where_its_part_ended_and_a_second_round_meets_what_was_missed() {
    let office = Office::open().await;
    let one = office.accepted("patent", "FA0000001").await;
    let other = office.accepted("patent", "FA0000002").await;
    let (first, second) = (one.min(other), one.max(other));
    let number = office.load(&calendar(&["2026-03-20"], &[])).await;
    let sql = office.owner().await;
    sql.batch_execute("DELETE FROM jobs WHERE kind = 'redate'").await.unwrap();
    let now = chrono::DateTime::from_timestamp(0, 0).unwrap();
    let job = Job::Redate { number, round: 1, after: Some(first), failed: 0 };
    let mut conn = office.db.conn().await.unwrap();
    for _ in 0..2 {
        let scheduled = Scheduled { job: job.clone(), run_at: now };
        jobs::insert_once(&mut conn, &scheduled, now).await.unwrap();
    }
    drop(conn);
    let report = office.worker().drain().await.unwrap();
    let keys = report.done.iter().filter(|key| key.starts_with("redate")).count();
    assert_eq!(keys, 1, "said twice, done once: {report:?}");
    assert_eq!(office.due(second).await, Some(day("2026-03-25")));
    assert_eq!(office.due(first).await, Some(day("2026-03-24")));
    office.clock.advance(TimeDelta::minutes(2));
    let report = office.worker().drain().await.unwrap();
    assert!(report.done.contains(&format!("redate:{number}:2")), "{report:?}");
    assert_eq!(office.due(first).await, Some(day("2026-03-25")));
    office.clock.advance(TimeDelta::hours(1));
    assert!(office.worker().drain().await.unwrap().done.is_empty(), "two rounds are enough");
}

#[tokio::test]
async fn one_that_cannot_be_dated_stops_no_other_and_is_tried_again() {
    let office = Office::open().await;
    let broken = office.accepted("patent", "FA0000001").await;
    let sound = office.accepted("patent", "FA0000002").await;
    let sql = office.owner().await;
    let shown = format!("SELECT clock::text FROM applications WHERE id = '{broken}'");
    let clock: String = sql.query_one(&shown, &[]).await.unwrap().get(0);
    let set = async |clock: &str| {
        let set = format!("UPDATE applications SET clock = $1::text::jsonb WHERE id = '{broken}'");
        sql.execute(&set, &[&clock]).await.unwrap();
    };
    set("{}").await;
    let number = office.load(&calendar(&["2026-03-20"], &[])).await;
    office.worker().drain().await.unwrap();
    assert_eq!(office.due(sound).await, Some(day("2026-03-25")));
    office.clock.advance(TimeDelta::minutes(2));
    let report = office.worker().drain().await.unwrap();
    assert!(report.done.contains(&format!("redate:{number}:2")), "{report:?}");
    set(&clock).await;
    office.clock.advance(TimeDelta::minutes(4));
    let report = office.worker().drain().await.unwrap();
    assert!(report.done.contains(&format!("redate:{number}:3")), "{report:?}");
    assert_eq!(office.due(broken).await, Some(day("2026-03-25")));
}

#[tokio::test]
async fn a_running_service_decides_by_the_new_calendar_at_once() {
    let office = Office::open().await;
    let [first, second] = ["FA0000001", "FA0000002"].map(|passport| (passport, "patent"));
    let before = office.submitted(&office.migrant, first.1, first.0).await;
    let after = office.submitted(&office.migrant, second.1, second.0).await;
    office.give(&office.anna, before, Command::Accept).await.unwrap();
    assert_eq!(office.due(before).await, Some(day("2026-03-24")));
    // Another process loads; this one is told by nobody.
    let other = office.other_process();
    let draft = other.draft_calendar(FILE, &calendar(&["2026-03-20"], &[]), None).await.unwrap();
    other.load_calendar(&draft, OPERATOR, None).await.unwrap();
    let statements = office.db.statements();
    office.casework.execute(&office.anna.ask(), after, &Command::Accept, &render).await.unwrap();
    assert_eq!(office.db.statements() - statements, 3, "the calendar is read once, between");
    assert_eq!(office.due(after).await, Some(day("2026-03-25")));
}

#[tokio::test]
async fn a_decision_by_a_calendar_that_was_replaced_before_it_was_written_is_made_anew() {
    let office = Office::open().await;
    let id = office.submitted(&office.migrant, "patent", "FA1234567").await;
    let loads = std::sync::atomic::AtomicUsize::new(0);
    let url = office.database.url().to_owned();
    let (rules, clock) = (Arc::clone(&office.rules), office.clock.clone());
    // What an answer says is written between the decision and its writing.
    let between = |seen: &Seen<'_>| {
        if loads.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
            let (url, rules, clock) = (url.clone(), Arc::clone(&rules), clock.clone());
            std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let wait = Duration::from_secs(30);
                    let options = DbOptions { url, pool_size: 1, wait, statement_timeout: wait };
                    let db = Db::new(&options).unwrap();
                    let lease = TimeDelta::zero();
                    let other = Casework::new(db, rules, clock, lease, Arc::new(|| ()));
                    let text = calendar(&["2026-03-20"], &[]);
                    let draft = other.draft_calendar(FILE, &text, None).await.unwrap();
                    other.load_calendar(&draft, OPERATOR, None).await.unwrap();
                });
            })
            .join()
            .unwrap();
        }
        Ok(seen.application.due_on.unwrap().to_string())
    };
    let accept = Command::Accept;
    let answer = office.casework.execute(&office.anna.ask(), id, &accept, &between).await.unwrap();
    assert_eq!(loads.load(std::sync::atomic::Ordering::SeqCst), 2);
    assert_eq!(answer.body, "2026-03-25");
    assert_eq!(office.due(id).await, Some(day("2026-03-25")));
    office.agreed(id).await;
}

#[tokio::test]
async fn a_working_saturday_that_is_added_late_and_taken_back_moves_the_date_there_and_back() {
    let office = Office::open().await;
    let id = office.accepted("patent", "FA1234567").await;
    office.clock.advance(TimeDelta::days(6));
    let draft = office.draft_of(&calendar(&[], &["2026-03-14"])).await;
    assert_eq!(draft.past, 1, "a day that is over was counted the other way");
    office.casework.load_calendar(&draft, OPERATOR, None).await.unwrap();
    office.redate().await;
    assert_eq!(office.due(id).await, Some(day("2026-03-23")));
    let known = office.draft_of(&calendar(&[], &["2026-03-14"])).await;
    let again = office.casework.load_calendar(&known, OPERATOR, None).await.unwrap();
    assert!(matches!(again, Loading::Known(_)), "{again:?}");
    office.load(&calendar(&[], &[])).await;
    office.redate().await;
    assert_eq!(office.due(id).await, Some(day("2026-03-24")));
    let events = office.agreed(id).await;
    let redated = events.iter().filter(|it| it.act == Act::BuiltIn(BuiltIn::Redate)).count();
    assert_eq!(redated, 2);
}

#[tokio::test]
async fn an_application_that_stands_still_is_left_alone_and_goes_on_by_the_new_calendar() {
    let office = Office::open().await;
    let id = office.accepted("patent", "FA1234567").await;
    office.ask(id).await;
    let before = office.now(id).await.application;
    office.load(&calendar(&["2026-03-20"], &[])).await;
    assert_eq!(office.redate().await.moved, 0);
    assert_eq!(office.now(id).await.application, before);
    office.clock.advance(TimeDelta::days(1));
    let answer = Answer { item: 1, text: "I came".into(), form: None };
    let answers = Command::AnswerInformation { answers: vec![answer] };
    office.give(&office.migrant, id, answers).await.unwrap();
    // The 11th does not count, the 20th is off: ten from the 12th on.
    assert_eq!(office.due(id).await, Some(day("2026-03-26")));
}

#[tokio::test]
async fn the_timer_comes_on_the_day_that_the_new_calendar_gives() {
    let office = Office::open().await;
    let checking = office.accepted("patent", "FA0000001").await;
    let submitted = office.submitted(&office.migrant, "patent", "FA0000002").await;
    let midnight = |date: &str| at(&format!("{date}T00:00:00+03:00"));
    let jobs = |escalate: &str, warn: &str| {
        vec![("escalate".to_owned(), midnight(escalate)), ("warn".to_owned(), midnight(warn))]
    };
    // The 24th is the last day; the office is warned on the second working day before it.
    assert_eq!(office.timers(checking).await, jobs("2026-03-25", "2026-03-20"));
    assert_eq!(office.timers(submitted).await, [("escalate".to_owned(), midnight("2026-03-12"))]);
    // A day off within the last two moves the warning, although the date stays.
    office.load(&calendar(&["2026-03-11", "2026-03-23"], &["2026-03-14", "2026-03-21"])).await;
    assert_eq!(office.redate().await.moved, 0);
    assert_eq!(office.timers(checking).await, jobs("2026-03-25", "2026-03-20"));
    assert_eq!(office.timers(submitted).await, [("escalate".to_owned(), midnight("2026-03-13"))]);
    office.load(&calendar(&["2026-03-20", "2026-03-23"], &["2026-03-14", "2026-03-15"])).await;
    assert_eq!(office.redate().await.moved, 0);
    assert_eq!(office.timers(checking).await, jobs("2026-03-25", "2026-03-18"));
    assert_eq!(office.timers(submitted).await, [("escalate".to_owned(), midnight("2026-03-12"))]);
    office.load(&calendar(&[], &["2026-03-14", "2026-03-15"])).await;
    assert_eq!(office.redate().await.moved, 1);
    assert_eq!(office.timers(checking).await, jobs("2026-03-21", "2026-03-18"));
}

#[tokio::test]
async fn a_timer_that_comes_too_early_comes_again() {
    let office = Office::open().await;
    let id = office.submitted(&office.migrant, "patent", "FA1234567").await;
    office.load(&calendar(&["2026-03-11"], &[])).await;
    // Whoever should have dated it anew was killed.
    let sql = office.owner().await;
    sql.batch_execute("DELETE FROM jobs WHERE kind = 'redate'").await.unwrap();
    office.clock.set(at("2026-03-12T00:30:00+03:00"));
    let report = office.worker().drain().await.unwrap();
    let key = format!("timer:{id}:escalate");
    let later = at("2026-03-13T00:00:00+03:00");
    assert!(report.later.contains(&(key.clone(), later)), "{report:?}");
    assert_eq!(office.now(id).await.application.escalated_at, None);
    office.clock.set(at("2026-03-13T00:30:00+03:00"));
    let report = office.worker().drain().await.unwrap();
    assert!(report.done.contains(&key), "{report:?}");
    assert!(office.now(id).await.application.escalated_at.is_some());
}

#[tokio::test]
async fn whom_the_office_was_told_of_it_is_not_told_of_again_unless_the_day_is_still_to_come() {
    let office = Office::open().await;
    let id = office.accepted("patent", "FA1234567").await;
    office.clock.set(at("2026-03-27T09:00:00+03:00"));
    office.worker().drain().await.unwrap();
    assert!(office.now(id).await.application.escalated_at.is_some());
    office.load(&calendar(&["2026-03-20"], &[])).await;
    office.redate().await;
    assert_eq!(office.due(id).await, Some(day("2026-03-25")));
    assert_eq!(office.timers(id).await, [], "it is late all the same");
    let told = |application: &Application| application.clock.as_ref().unwrap().told;
    assert_eq!(told(&office.now(id).await.application), Some(day("2026-03-25")));
    office.load(&calendar(&["2026-03-19", "2026-03-20", "2026-03-23", "2026-03-24"], &[])).await;
    office.redate().await;
    assert_eq!(office.due(id).await, Some(day("2026-03-30")));
    let waiting = office.timers(id).await;
    // Two working days are left of the new date: of that nobody was warned yet.
    let (warn, later) = (at("2026-03-26T00:00:00+03:00"), at("2026-03-31T00:00:00+03:00"));
    assert_eq!(waiting, [("escalate".to_owned(), later), ("warn".to_owned(), warn)]);
}

#[tokio::test]
async fn two_administrators_do_not_replace_each_others_calendar_unseen() {
    let office = Office::open().await;
    let one = office.draft_of(&calendar(&["2026-03-20"], &[])).await;
    let other = office.draft_of(&calendar(&["2026-03-19"], &[])).await;
    let (casework, seen) = (&office.casework, one.seen);
    let loaded = casework.load_calendar(&one, OPERATOR, None).await.unwrap();
    let Loading::Registered(number) = loaded else { panic!("{loaded:?}") };
    assert!(number > seen);
    let stale = casework.load_calendar(&other, OPERATOR, None).await.unwrap();
    assert_eq!(stale, Loading::Stale(number));
}

#[tokio::test]
async fn the_migration_of_an_old_binary_leaves_a_loaded_calendar_in_force() {
    let office = Office::open().await;
    office.load(&calendar(&["2026-03-20"], &[])).await;
    let url = office.database.url();
    let added = migrate::register(url, &office.rules, &*office.clock, OPERATOR).await.unwrap();
    assert_eq!(added, Vec::<String>::new());
    let id = office.accepted("patent", "FA1234567").await;
    assert_eq!(office.due(id).await, Some(day("2026-03-25")));
}

#[tokio::test]
async fn every_mistake_in_a_calendar_is_named_with_its_line() {
    let office = Office::open().await;
    let found = async |file: &str, text: &str, place: Option<(&str, i32)>| {
        let error = office.casework.draft_calendar(file, text, place).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::RuleRefused);
        let Error::Refused(refusal) = error else { panic!("not a refusal") };
        refusal
            .violations
            .iter()
            .map(|one| format!("{} {}", one.pointer, one.code))
            .collect::<Vec<_>>()
    };
    let text = "country = \"RUS\"\nyear = 2026\nsource = \"a decree\"\nconfidence = \"C\"\n\
                working_days = 300\ndays_off = [\n2025-01-01,\n2026-01-01,\n2026-01-01,\n\
                2026-01-03,\n2026-01-05T10:00:00,\n2026-01-06,\n]\nworking_weekends = [\n\
                2026-01-06,\n2026-01-07,\n]\n";
    assert_eq!(
        found(FILE, text, None).await,
        [
            "line 5 wrong-total",
            "line 7 outside-the-year",
            "line 9 listed-twice",
            "line 10 day-off-on-a-weekend",
            "line 11 not-a-date",
            "line 15 off-and-worked",
            "line 16 working-weekend-on-a-weekday",
        ]
    );
    assert_eq!(found(FILE, "year = ", None).await, ["line 1 unreadable"]);
    let own = calendar(&[], &[]);
    let misplaced = ["line 4 wrong-country-or-year"];
    assert_eq!(found("russia-2027.toml", &own, None).await, misplaced, "by the file's name");
    assert_eq!(found("x", &own, Some(("RUS", 2027))).await, misplaced);
    let kazakh = own.replace("\"RUS\"", "\"KAZ\"");
    assert_eq!(found(FILE, &kazakh, None).await, ["line 3 wrong-country-or-year"]);
    let unsourced = own.replace("confidence = \"C\"", "confidence = \"sure\"");
    assert_eq!(found(FILE, &unsourced, None).await, ["line 6 no-source"]);
}

#[tokio::test]
async fn the_calendar_of_a_new_year_moves_nothing_and_is_in_force() {
    let office = Office::open().await;
    let text = "country = \"RUS\"\nyear = 2028\nsource = \"a decree\"\nconfidence = \"D\"\n\
                provisional = true\ndays_off = [2028-01-03]\nworking_weekends = []\n";
    let draft = office.casework.draft_calendar("russia-2028.toml", text, None).await.unwrap();
    assert!(draft.is_new_year() && draft.is_provisional() && draft.days.is_empty());
    office.casework.load_calendar(&draft, OPERATOR, None).await.unwrap();
    let shown = office.casework.calendar("RUS", 2028).await.unwrap();
    assert!(shown.in_force && shown.provisional && shown.text == text);
    let years = office.casework.rules_at(&mut office.db.conn().await.unwrap(), shown.number).await;
    assert_eq!(years.unwrap().calendar.years().last(), Some(2028));
}

// ── Over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────

impl TestApp {
    pub async fn put_calendar(&self, query: &str, version: i64, text: &str) -> Reply {
        self.put(&format!("/v1/calendars/RUS/2026{query}"))
            .by(ADMINISTRATOR)
            .if_match(version)
            .body("application/toml", text.to_owned())
            .send()
            .await
    }

    async fn promised(&self, case: &Case) -> Value {
        let path = format!("/v1/status/{}", case.reference);
        self.get(&path).send().await.expect(200).json()["dueOn"].clone()
    }
}

#[actix_web::test]
async fn an_administrator_tries_a_calendar_out_and_loads_it() {
    let app = TestApp::spawn().await;
    // Taken in on Monday, 2 March; the 9th is off.
    let case = app.checking(MIGRANT).await;
    assert_eq!(app.promised(&case).await, "2026-03-17");
    let shown = app.get("/v1/calendars/RUS/2026").by(ADMINISTRATOR).send().await.expect(200);
    let version = shown.version();
    let body = shown.json();
    assert_eq!((&body["workingDays"], &body["inForce"]), (&json!(247), &json!(true)));
    assert_eq!(body["daysOff"].as_array().unwrap().len(), 14);

    let text = calendar(&["2026-03-13"], &[]);
    let before = app.written().await;
    let trial = app.put_calendar("?dryRun=true", version, &text).await.expect(200).json();
    assert_eq!(
        (&trial["dryRun"], &trial["total"], &trial["moves"]),
        (
            &json!(true),
            &json!(1),
            &json!([{ "reference": case.reference, "unit": "77", "from": "2026-03-17",
                      "to": "2026-03-18", "days": 1, "workingDays": 1 }])
        )
    );
    let day = json!([{ "date": "2026-03-13", "before": "working", "after": "holiday" }]);
    assert_eq!(trial["days"], day);
    assert_eq!(app.written().await, before, "a trial writes nothing");

    let loaded = app.put_calendar("", version, &text).await.expect(200);
    assert!(loaded.version() > version);
    assert_eq!((&loaded.json()["days"], loaded.json().get("moves")), (&day, None));
    app::worker(&app.app).unwrap().drain().await.unwrap();
    assert_eq!(app.promised(&case).await, "2026-03-18");
    app.put_calendar("", version, &text).await.expect(412).problem("stale-version");
    let again = app.put_calendar("", loaded.version(), &text).await.expect(200);
    assert_eq!(again.version(), loaded.version(), "what is in force stays");

    let query = "SELECT actor_id::text, actor_role, content FROM events WHERE kind = 'calendarChanged' \
                 AND actor_id IS NOT NULL";
    let row = app.sql().await.query_one(query, &[]).await.unwrap();
    assert_eq!(row.get::<_, Option<String>>(0), Some(ADMINISTRATOR.id().to_string()));
    assert_eq!(row.get::<_, String>(1), "administrator");
    let content: Value = serde_json::from_str(row.get(2)).unwrap();
    assert_eq!((&content["name"], &content["days"]), (&json!("calendars/russia-2026.toml"), &day));
    let mut conn = app.app.db.conn().await.unwrap();
    assert_eq!(log::inspection::find_unfounded(&mut conn).await.unwrap(), None);

    let list = app.get("/v1/calendars").by(ADMINISTRATOR).send().await.expect(200).json();
    let of_2026: Vec<_> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["year"] == 2026)
        .map(|one| one["inForce"].clone())
        .collect();
    assert_eq!(of_2026, [json!(true), json!(false)]);
    let clock = app.get(&case.path("/clock")).by(OFFICER).send().await.expect(200).json();
    let holiday = clock["days"].as_array().unwrap().iter().find(|it| it["date"] == "2026-03-13");
    assert_eq!(
        (&holiday.unwrap()["why"], &clock["dueOn"]),
        (&json!("holiday"), &json!("2026-03-18"))
    );
}

#[actix_web::test]
async fn a_wrong_calendar_and_a_wrong_request_are_refused_each_in_its_way() {
    let app = TestApp::spawn().await;
    let shown = app.get("/v1/calendars/RUS/2026").by(ADMINISTRATOR).send().await.expect(200);
    let (version, text) = (shown.version(), calendar(&["2026-03-14"], &[]));
    let problem = app.put_calendar("", version, &text).await.expect(422).problem("rule-refused");
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0]["code"], "day-off-on-a-weekend");
    assert!(errors[0]["pointer"].as_str().unwrap().starts_with("line "), "{errors:?}");

    let put = |path: &str| app.put(path).by(ADMINISTRATOR);
    for year in ["-5", "1899", "2201"] {
        let text = format!(
            "country = \"RUS\"\nyear = {year}\nsource = \"s\"\nconfidence = \"C\"\nworking_days = 0\n\
             days_off = []\nworking_weekends = []\n"
        );
        let path = format!("/v1/calendars/RUS/{year}?dryRun=true");
        let reply = put(&path).if_match(0).body("application/toml", text).send().await;
        let problem = reply.expect(422).problem("rule-refused");
        assert_eq!(problem["errors"][0]["code"], "wrong-country-or-year", "{problem}");
    }
    let path = "/v1/calendars/RUS/2026";
    let sound = calendar(&[], &[]);
    put(path).body("application/toml", sound.clone()).send().await.expect(428);
    put(path).if_match(version).json(json!({})).send().await.expect(415);
    put(path).if_match(version).body("application/toml", vec![0xff, 0xfe]).send().await.expect(400);
    let other_year = put("/v1/calendars/RUS/2027").if_match(version);
    other_year.body("application/toml", sound).send().await.expect(422);
    for unknown in ["/v1/calendars/RUS/1999", "/v1/calendars/KAZ/2026", "/v1/calendars/RUS/x"] {
        app.get(unknown).by(ADMINISTRATOR).send().await.expect(404);
    }
}

// ── At the command line ──────────────────────────────────────────────────────────────────────────────────────

fn run(url: &str, arguments: &[&str]) -> (i32, String) {
    let mut process = Process::new(env!("CARGO_BIN_EXE_propusk"));
    process.arg("calendar").args(arguments).env_clear().env("DATABASE_URL", url);
    let Output { status, stdout, stderr } = process.output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code().unwrap(), text)
}

#[actix_web::test]
async fn an_operator_tries_a_calendar_out_loads_it_and_lists_what_is_in_force() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let file = test_dir("loaded-calendar").join(FILE);
    std::fs::write(&file, calendar(&["2026-03-13"], &[])).unwrap();
    let (url, path) = (app.database.url(), file.to_str().unwrap());

    let (code, said) = run(url, &["load", path, "--dry-run"]);
    let line = format!("{} 77 2026-03-17 → 2026-03-18 (+1 working days)", case.reference);
    assert!(code == 0 && said.contains(&line), "{said}");
    assert!(said.contains("2026-03-13: Working becomes Holiday"), "{said}");
    assert!(said.contains("1 dates would move; nothing has changed"), "{said}");
    assert_eq!(app.promised(&case).await, "2026-03-17");

    let (code, said) = run(url, &["load", path]);
    assert!(code == 0 && said.contains("in force, as number"), "{said}");
    assert!(said.contains("1 dates moved"), "{said}");
    assert_eq!(app.promised(&case).await, "2026-03-18");
    let (code, said) = run(url, &["redate"]);
    assert!(code == 0 && said.contains("0 dates moved"), "{said}");
    let (code, said) = run(url, &["list"]);
    let of_2026: Vec<&str> = said.lines().filter(|line| line.contains(" RUS 2026 ")).collect();
    assert!(code == 0 && of_2026.len() == 2, "{said}");
    assert!(of_2026[0].ends_with("in force") && of_2026[1].ends_with("replaced"), "{said}");

    std::fs::write(&file, calendar(&["2026-03-14"], &[])).unwrap();
    let (code, said) = run(url, &["load", path]);
    assert_eq!(code, 1, "{said}");
    let lines = calendar(&["2026-03-14"], &[]);
    let number = lines.lines().position(|line| line.contains("2026-03-14")).unwrap() + 1;
    assert!(said.contains(&format!("{FILE}:{number}: day-off-on-a-weekend: ")), "{said}");
}

#[tokio::test]
async fn a_calendar_of_the_command_line_leaves_in_its_queue_what_waits_for_registers_alone() {
    let mut office = Office::open().await;
    let registers = [REGISTER.to_owned()].into();
    office.casework = office.casework.clone().with_registers(registers);
    let id = office.accepted("patent", "FA1234567").await;
    office.clear_all_but(&office.anna, id, "entryBan").await;
    let owner = office.owner().await;
    let row = async || -> (Option<String>, String) {
        let work = "SELECT work, due_on::text FROM applications WHERE id::text = $1";
        let row = owner.query_one(work, &[&id.to_string()]).await.unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!(row().await, (Some("registers".to_owned()), "2026-03-24".to_owned()));
    let file = test_dir("calendar-and-registers").join(FILE);
    std::fs::write(&file, calendar(&["2026-03-13"], &[])).unwrap();
    // Whoever loads it may know of no register at all.
    let (code, said) = run(office.database.url(), &["load", file.to_str().unwrap()]);
    assert!(code == 0 && said.contains("1 dates moved"), "{said}");
    assert_eq!(row().await, (Some("registers".to_owned()), "2026-03-25".to_owned()));
}
