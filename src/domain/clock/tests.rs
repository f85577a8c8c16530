//! Tests of the statutory clock, by examples reckoned by hand and against a slow, obvious reckoning.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, Days};
use proptest::prelude::*;

use super::*;
use crate::domain::calendar::RUSSIA;

fn russia() -> Calendar {
    Calendar::parse(&RUSSIA).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn suspension(from: &str, to: Option<&str>) -> Suspension {
    Suspension { from: day(from), to: to.map(day), reason: "documents asked for".into() }
}

/// A clock of ten working days from Friday 31 October 2025; 1 November is worked, 3 and 4 November are off.
fn clock(suspensions: &[Suspension]) -> StatutoryClock {
    StatutoryClock {
        suspensions: suspensions.to_vec(),
        ..StatutoryClock::start(day("2025-10-31"), 10)
    }
}

fn due(clock: &StatutoryClock) -> Option<NaiveDate> {
    clock.due_on(&russia()).unwrap()
}

#[test]
fn without_suspension_the_term_is_a_count_of_working_days() {
    assert_eq!(due(&clock(&[])), Some(day("2025-11-17")));
    assert_eq!(due(&StatutoryClock::start(day("2025-10-29"), 3)), Some(day("2025-11-01")));
    assert_eq!(due(&StatutoryClock::start(day("2025-11-02"), 0)), Some(day("2025-11-02")));
}

#[test]
fn the_day_of_asking_counts_and_the_day_of_the_answer_does_not() {
    // Days 1 and 2 are 1 and 5 November; 6 and 7 November are taken out; day 3 is 10 November.
    let asked_and_answered = clock(&[suspension("2025-11-05", Some("2025-11-07"))]);
    assert_eq!(due(&asked_and_answered), Some(day("2025-11-19")));
    let explained = asked_and_answered.explain(&russia()).unwrap();
    let number = |date: &str| explained.days.iter().find(|d| d.date == day(date)).unwrap().counted;
    assert_eq!(number("2025-11-05"), Some(2));
    assert_eq!(number("2025-11-07"), None);
    assert_eq!(number("2025-11-10"), Some(3));
}

#[test]
fn asking_and_answering_on_one_day_costs_no_day() {
    assert_eq!(
        due(&clock(&[suspension("2025-11-05", Some("2025-11-05"))])),
        Some(day("2025-11-17"))
    );
}

#[test]
fn asking_on_the_day_of_acceptance_takes_out_the_days_from_the_next() {
    assert_eq!(
        due(&clock(&[suspension("2025-10-31", Some("2025-11-05"))])),
        Some(day("2025-11-19"))
    );
}

#[test]
fn overlapping_and_nested_suspensions_take_out_each_day_once() {
    let once = clock(&[suspension("2025-11-05", Some("2025-11-12"))]);
    let pieces = clock(&[
        suspension("2025-11-07", Some("2025-11-12")),
        suspension("2025-11-05", Some("2025-11-10")),
        suspension("2025-11-06", Some("2025-11-07")),
    ]);
    assert_eq!(due(&once), due(&pieces));
}

#[test]
fn while_the_clock_stands_still_there_is_no_due_date_and_the_days_left_stay() {
    let clock = clock(&[suspension("2025-11-05", None)]);
    assert_eq!(due(&clock), None);
    assert_eq!(clock.suspended_since(), Some(day("2025-11-05")));
    for today in ["2025-11-05", "2025-12-05", "2035-01-01"] {
        assert_eq!(clock.working_days_left(day(today), &russia()), Ok(8), "{today}");
        assert_eq!(clock.is_overdue(day(today), &russia()), Ok(false), "{today}");
    }
    let explained = clock.explain(&russia()).unwrap();
    assert_eq!(explained.due_on, None);
    assert_eq!(explained.days.last().unwrap().date, day("2025-11-05"));
}

#[test]
fn a_suspension_after_the_due_date_does_not_hide_that_it_is_late() {
    let late = clock(&[suspension("2025-11-18", None)]);
    assert_eq!(due(&late), Some(day("2025-11-17")));
    assert_eq!(late.is_overdue(day("2025-11-19"), &russia()), Ok(true));
    assert_eq!(due(&clock(&[suspension("2025-11-17", None)])), Some(day("2025-11-17")));
}

#[test]
fn the_due_date_itself_is_in_time_and_the_next_day_is_late() {
    let clock = clock(&[]);
    assert_eq!(clock.is_overdue(day("2025-11-17"), &russia()), Ok(false));
    assert_eq!(clock.is_overdue(day("2025-11-18"), &russia()), Ok(true));
    assert_eq!(clock.working_days_left(day("2025-10-31"), &russia()), Ok(10));
    assert_eq!(clock.working_days_left(day("2025-11-01"), &russia()), Ok(9));
    assert_eq!(clock.working_days_left(day("2025-11-17"), &russia()), Ok(0));
    assert_eq!(clock.working_days_left(day("2025-11-19"), &russia()), Ok(-2));
    assert_eq!(clock.working_days_left(day("2025-10-01"), &russia()), Ok(10));
}

#[test]
fn after_the_decision_lateness_no_longer_grows() {
    let in_time = clock(&[]).stop(day("2025-11-17")).unwrap();
    assert_eq!(in_time.is_overdue(day("2026-11-17"), &russia()), Ok(false));
    let late = clock(&[]).stop(day("2025-11-18")).unwrap();
    assert_eq!(late.is_overdue(day("2025-11-17"), &russia()), Ok(false));
    assert_eq!(late.is_overdue(day("2025-11-18"), &russia()), Ok(true));
    assert_eq!(late.working_days_left(day("2026-11-17"), &russia()), Ok(-1));
}

#[test]
fn a_clock_is_suspended_resumed_and_stopped_in_order_only() {
    let clock = clock(&[]);
    assert_eq!(clock.resume(day("2025-11-05")), Err(ClockError::NotSuspended));
    let last = day("2025-10-31");
    assert_eq!(clock.suspend(day("2025-10-30"), "x"), Err(ClockError::BeforeLastEntry { last }));

    let asked = clock.suspend(day("2025-11-05"), "photograph").unwrap();
    let since = day("2025-11-05");
    assert_eq!(asked.suspend(since, "again"), Err(ClockError::AlreadySuspended { since }));
    assert_eq!(asked.resume(day("2025-11-04")), Err(ClockError::BeforeLastEntry { last: since }));

    let answered = asked.resume(day("2025-11-07")).unwrap();
    assert_eq!(answered.suspensions[0].to, Some(day("2025-11-07")));
    let last = day("2025-11-07");
    assert_eq!(answered.suspend(since, "x"), Err(ClockError::BeforeLastEntry { last }));

    let on = day("2025-11-10");
    let stopped = answered.stop(on).unwrap();
    for refused in [stopped.stop(on), stopped.suspend(on, "x"), stopped.resume(on)] {
        assert_eq!(refused, Err(ClockError::AlreadyStopped { on }));
    }
    assert!(asked.stop(on).is_ok());
}

#[test]
fn every_day_is_explained_and_serialised_in_camel_case() {
    let clock =
        StatutoryClock { length: 3, ..clock(&[suspension("2025-11-01", Some("2025-11-05"))]) };
    let json = serde_json::to_value(clock.explain(&russia()).unwrap()).unwrap();
    assert_eq!((&json["startedOn"], &json["dueOn"]), (&"2025-10-31".into(), &"2025-11-07".into()));
    assert_eq!(
        json["days"],
        serde_json::json!([
            { "date": "2025-10-31", "counted": null, "why": "start" },
            { "date": "2025-11-01", "counted": 1, "why": "workingWeekend" },
            { "date": "2025-11-02", "counted": null, "why": "weekend" },
            { "date": "2025-11-03", "counted": null, "why": "holiday" },
            { "date": "2025-11-04", "counted": null, "why": "holiday" },
            { "date": "2025-11-05", "counted": null, "why": "suspended" },
            { "date": "2025-11-06", "counted": 2, "why": "counted" },
            { "date": "2025-11-07", "counted": 3, "why": "counted" },
        ])
    );
    let json = serde_json::to_value(&clock).unwrap();
    assert_eq!(json["suspensions"][0]["from"], "2025-11-01");
    assert_eq!(serde_json::from_value::<StatutoryClock>(json).unwrap(), clock);
}

#[test]
fn a_term_that_runs_out_of_the_calendar_names_the_missing_year() {
    let clock = StatutoryClock::start(day("2027-12-28"), 10);
    assert_eq!(clock.due_on(&russia()), Err(MissingYear { year: 2028 }));
    assert_eq!(clock.explain(&russia()), Err(MissingYear { year: 2028 }));
}

/// Lists every working day after the start, strikes out the suspended ones, and takes the last of the term.
fn reckoned_slowly(
    clock: &StatutoryClock,
    calendar: &Calendar,
    end: NaiveDate,
) -> BTreeSet<NaiveDate> {
    let mut days: BTreeSet<NaiveDate> = clock
        .started_on
        .iter_days()
        .skip(1)
        .take_while(|date| *date <= end)
        .filter(|date| calendar.is_working_day(*date).unwrap())
        .collect();
    for suspension in &clock.suspensions {
        let mut struck = suspension.from;
        while struck < suspension.to.unwrap_or(end) {
            struck = struck.succ_opt().unwrap();
            days.remove(&struck);
        }
    }
    days
}

fn any_suspension() -> impl Strategy<Value = Suspension> {
    (0..60u64, prop::option::weighted(0.9, 0..30u64)).prop_map(|(from, length)| {
        let from = day("2025-10-10") + Days::new(from);
        Suspension {
            from,
            to: length.map(|length| from + Days::new(length)),
            reason: String::new(),
        }
    })
}

proptest! {
    #[test]
    fn the_clock_agrees_with_a_slow_reckoning(
        start in 0..40u64,
        length in 1..30u32,
        suspensions in prop::collection::vec(any_suspension(), 0..5),
        today in 0..120u64,
    ) {
        let calendar = russia();
        let started_on = day("2025-10-20") + Days::new(start);
        let clock = StatutoryClock { suspensions, ..StatutoryClock::start(started_on, length) };
        let counted = reckoned_slowly(&clock, &calendar, day("2027-12-31"));

        let due = counted.iter().nth(length as usize - 1).copied();
        prop_assert_eq!(clock.due_on(&calendar).unwrap(), due);

        let today = started_on + Days::new(today);
        prop_assert_eq!(clock.is_overdue(today, &calendar).unwrap(), due.is_some_and(|d| d < today));
        let gone = counted.iter().filter(|date| **date <= today).count();
        prop_assert_eq!(
            clock.working_days_left(today, &calendar).unwrap(),
            i64::from(length) - i64::try_from(gone).unwrap()
        );

        let explained = clock.explain(&calendar).unwrap();
        prop_assert_eq!(explained.due_on, due);
        let numbered: Vec<NaiveDate> =
            explained.days.iter().filter(|d| d.counted.is_some()).map(|d| d.date).collect();
        let expected: Vec<NaiveDate> = counted.iter().take(length as usize).copied().collect();
        prop_assert_eq!(numbered, expected);
        prop_assert!(explained.days.windows(2).all(|pair| pair[0].date.succ_opt() == Some(pair[1].date)));
    }
}

fn extension(days: u32, on: NaiveDate) -> Extension {
    Extension {
        working_days: days,
        reason: "another country is asked".into(),
        basis: "order 4".into(),
        by: Uuid::nil(),
        on,
    }
}

#[test]
fn an_extension_is_made_once_keeps_both_dates_and_can_be_taken_back() {
    let on = day("2025-11-05");
    let longer = clock(&[]).extend(extension(3, on)).unwrap();
    assert_eq!(due(&longer), Some(day("2025-11-20")));
    assert_eq!(longer.standard_due_on(&russia()), Ok(Some(day("2025-11-17"))));
    assert_eq!(longer.working_days_left(day("2025-11-17"), &russia()), Ok(3));
    let again = longer.extend(extension(2, day("2025-11-06")));
    assert_eq!(again, Err(ClockError::AlreadyExtended { days: 3, on }));
    let last = on;
    assert_eq!(
        longer.withdraw_extension(day("2025-11-03")),
        Err(ClockError::BeforeLastEntry { last })
    );
    let back = longer.withdraw_extension(day("2025-11-06")).unwrap();
    assert_eq!(back, clock(&[]));
    assert_eq!(back.withdraw_extension(day("2025-11-06")), Err(ClockError::NotExtended));
    let stopped = longer.stop(day("2025-11-10")).unwrap();
    let on = day("2025-11-10");
    assert_eq!(stopped.withdraw_extension(on), Err(ClockError::AlreadyStopped { on }));
}

/// What happens to a clock.
#[derive(Debug, Clone, Copy)]
enum Act {
    Pause,
    Resume,
    Extend(u32),
    Withdraw,
    Stop,
}

/// The reference: a diary, a day a line. It knows nothing of intervals and adds nothing up in advance.
struct Diary {
    length: u32,
    paused: bool,
    extension: Option<u32>,
    stopped: bool,
    counted: u32,
    /// The first day on which the term of that many days was used up.
    used_up: BTreeMap<u32, NaiveDate>,
}

impl Diary {
    fn new_day(&mut self, date: NaiveDate, worked: bool) {
        if worked && !self.paused {
            self.counted += 1;
            self.used_up.insert(self.counted, date);
        }
    }

    /// Does what is possible; tells whether it was.
    fn act(&mut self, act: Act) -> bool {
        let possible = !self.stopped
            && match act {
                Act::Pause => !self.paused,
                Act::Resume => self.paused,
                Act::Extend(_) => self.extension.is_none(),
                Act::Withdraw => self.extension.is_some(),
                Act::Stop => true,
            };
        if possible {
            match act {
                Act::Pause => self.paused = true,
                Act::Resume => self.paused = false,
                Act::Extend(days) => self.extension = Some(days),
                Act::Withdraw => self.extension = None,
                Act::Stop => self.stopped = true,
            }
        }
        possible
    }
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Pause),
        3 => Just(Act::Resume),
        2 => (1..15u32).prop_map(Act::Extend),
        2 => Just(Act::Withdraw),
        1 => Just(Act::Stop),
    ]
}

/// A year whose weekdays off and worked weekends are dealt at random.
fn any_calendar() -> impl Strategy<Value = Calendar> {
    (prop::collection::btree_set(0..365u32, 0..40), prop::collection::btree_set(0..365u32, 0..20))
        .prop_map(|(off, worked)| {
            let date = |ordinal: &u32| NaiveDate::from_yo_opt(2025, ordinal + 1).unwrap();
            let list = |days: &BTreeSet<u32>, weekend: bool| {
                let fit = |date: &NaiveDate| (date.weekday().number_from_monday() > 5) == weekend;
                days.iter()
                    .map(date)
                    .filter(fit)
                    .map(|d| d.to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let text = format!(
                "country = \"RUS\"\nyear = 2025\nsource = \"dice\"\nconfidence = \"K\"\n\
                 days_off = [{}]\nworking_weekends = [{}]\n",
                list(&off, false),
                list(&worked, true)
            );
            Calendar::parse(&[("x.toml", &text)]).unwrap()
        })
}

proptest! {
    #[test]
    fn pauses_extensions_and_their_removal_in_any_order_agree_with_a_diary(
        calendar in any_calendar(),
        length in 1..25u32,
        acts in prop::collection::vec((0..9u64, any_act()), 0..12),
    ) {
        let start = day("2025-02-03");
        let mut clock = StatutoryClock::start(start, length);
        let mut diary = Diary {
            length,
            paused: false,
            extension: None,
            stopped: false,
            counted: 0,
            used_up: BTreeMap::new(),
        };
        let mut today = start;
        for (wait, act) in acts {
            for _ in 0..wait {
                today = today.succ_opt().unwrap();
                diary.new_day(today, calendar.is_working_day(today).unwrap());
            }
            let done = match act {
                Act::Pause => clock.suspend(today, "asked"),
                Act::Resume => clock.resume(today),
                Act::Extend(days) => clock.extend(extension(days, today)),
                Act::Withdraw => clock.withdraw_extension(today),
                Act::Stop => clock.stop(today),
            };
            prop_assert_eq!(done.is_ok(), diary.act(act), "{:?} on {}", act, today);
            if let Ok(done) = done {
                clock = done;
            }
            let left = i64::from(diary.length + diary.extension.unwrap_or(0))
                - i64::from(diary.counted);
            if !diary.stopped {
                prop_assert_eq!(clock.working_days_left(today, &calendar).unwrap(), left);
                prop_assert_eq!(clock.working_days_used(today, &calendar).unwrap(), diary.counted);
            }
            if diary.stopped {
                break;
            }
        }
        // Let the days pass: each date is the first on which that many days were counted.
        let still = diary.paused;
        for _ in 0..120 {
            today = today.succ_opt().unwrap();
            diary.new_day(today, calendar.is_working_day(today).unwrap());
        }
        let term = length + diary.extension.unwrap_or(0);
        let expected = |days: u32| diary.used_up.get(&days).copied();
        if !(diary.stopped && still) {
            prop_assert_eq!(clock.due_on(&calendar).unwrap(), expected(term));
            prop_assert_eq!(clock.standard_due_on(&calendar).unwrap(), expected(length));
        }
    }
}

#[test]
fn an_undone_decision_never_stopped_the_clock() {
    let stopped = StatutoryClock { used: Some(3), ..clock(&[]).stop(day("2025-11-06")).unwrap() };
    assert_eq!(stopped.reopen(day("2025-11-07"), None).unwrap(), clock(&[]));
    assert_eq!(clock(&[]).reopen(day("2025-11-07"), None), Err(ClockError::NotStopped));
    let last = day("2025-11-06");
    let before = stopped.reopen(day("2025-11-05"), Some("closed"));
    assert_eq!(before, Err(ClockError::BeforeLastEntry { last }));
}

#[test]
fn from_the_decision_to_the_reopening_no_day_counts() {
    // Days 1 to 3 are 1, 5 and 6 November; 7 and 10 November are taken out; day 4 is 11 November.
    let stopped = clock(&[]).stop(day("2025-11-06")).unwrap();
    let reopened = stopped.reopen(day("2025-11-10"), Some("closed")).unwrap();
    assert_eq!(due(&reopened), Some(day("2025-11-19")));
    assert_eq!(reopened.stopped_on, None);
    assert!(reopened.standing_still().is_none(), "it runs");
    let same_day = stopped.reopen(day("2025-11-06"), Some("closed")).unwrap();
    assert_eq!(due(&same_day), due(&clock(&[])));
}

#[test]
fn what_was_taken_back_while_the_clock_stood_still_is_reopened_with_both_intervals() {
    // Days 1 and 2 are 1 and 5 November; then nothing counts before 13 November, which is day 3.
    let asked = clock(&[suspension("2025-11-05", None)]).stop(day("2025-11-07")).unwrap();
    let reopened = asked.reopen(day("2025-11-12"), Some("closed")).unwrap();
    assert_eq!(due(&reopened), Some(day("2025-11-24")));
    let intervals: Vec<_> = reopened.suspensions.iter().map(|one| (one.from, one.to)).collect();
    assert_eq!(
        intervals,
        [
            (day("2025-11-05"), Some(day("2025-11-07"))),
            (day("2025-11-07"), Some(day("2025-11-12"))),
        ]
    );
    assert!(reopened.suspend(day("2025-11-13"), "asked again").is_ok());
}
