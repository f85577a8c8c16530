//! Months that carry a permit: each payment prolongs it, who forgets is reminded, and what is not paid ends by itself.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use propusk::clock::FixedClock;
use propusk::domain::fee::Uin;
use propusk::domain::permit::{PermitNumber, add_months};
use propusk::domain::reference::Reference;
use propusk::domain::workflow::embedded::FILES;
use serde_json::{Value, json};

use crate::support::app::{MIGRANT, OFFICER, SENIOR, TestApp};
use crate::support::db::test_dir;
use crate::support::drive::{Case, fresh};

/// What a month costs in the rates of [`rules`], in kopecks.
const IN_2027: i64 = 1_080_000;
const IN_2028: i64 = 1_116_000;

/// The rules with rates for 2027 and 2028, which are not known yet, and a calendar for 2028.
fn rules(name: &str) -> PathBuf {
    let folder = test_dir(&format!("months-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("calendars")).unwrap();
    for (path, text) in FILES {
        let mut text = (*text).to_owned();
        if path.ends_with("rates.toml") {
            for (year, deflator) in [(2027, "3.000"), (2028, "3.100")] {
                for (name, region, value) in [
                    ("tax.deflator", "", deflator),
                    ("tax.regionalCoefficient", "region = \"77\"\n", "3.0000"),
                ] {
                    text.push_str(&format!(
                        "\n[[factor]]\nname = \"{name}\"\n{region}from = {year}-01-01\nto = {year}-12-31\n\
                         value = \"{value}\"\nsource = \"invented for the test\"\nconfidence = \"K\"\n"
                    ));
                }
            }
        }
        fs::write(folder.join(path.strip_prefix("workflows/").unwrap()), text).unwrap();
    }
    let calendar = "country = \"RUS\"\nyear = 2028\nsource = \"invented for the test\"\nconfidence = \"K\"\n\
                    provisional = true\ndays_off = []\nworking_weekends = []\n";
    fs::write(folder.join("calendars/russia-2028.toml"), calendar).unwrap();
    folder
}

/// An office on 31 August 2027, noon in Moscow: from there every short month is met, and the February of a leap year.
async fn office(name: &str) -> TestApp {
    let start: DateTime<Utc> = "2027-08-31T09:00:00Z".parse().unwrap();
    let folder = rules(name);
    TestApp::spawn_at(Arc::new(FixedClock::new(start, 7)), |config| {
        config.workflows_directory = Some(folder);
    })
    .await
}

/// What a test asks about months.
impl TestApp {
    /// Moves the clock to an hour of a day in Moscow.
    fn go_to(&self, day: NaiveDate, hour: u32) {
        let local = day.and_time(NaiveTime::from_hms_opt(hour, 0, 0).unwrap());
        self.advance(local.and_utc() - TimeDelta::hours(3) - self.now());
    }

    async fn permit(&self, case: &Case) -> Value {
        self.see(&case.id).await["permit"].clone()
    }

    async fn paid_through(&self, case: &Case) -> NaiveDate {
        self.permit(case).await["paidThrough"].as_str().unwrap().parse().unwrap()
    }

    /// Tells of a payment of the bill that is open; gives what became of it.
    async fn pay_month(&self, case: &Case, kopecks: i64) -> String {
        let owed = self.owed(&case.id).await;
        self.pay_bill(&owed, kopecks, self.now()).await
    }

    async fn pay_bill(&self, bill: &Value, kopecks: i64, paid_at: DateTime<Utc>) -> String {
        let payment = json!({ "id": format!("month_{}", fresh()), "uin": bill["uin"],
            "amountKopecks": kopecks, "paidAt": paid_at });
        let reply = self.callback(payment).await.expect(200).json();
        reply["outcome"].as_str().unwrap().to_owned()
    }

    async fn reminders(&self, case: &Case) -> usize {
        self.mails(&case.id).await.iter().filter(|message| *message == "reminder").count()
    }
}

#[actix_web::test]
async fn a_patent_lives_twelve_months_of_payments_through_short_ones_and_a_leap_year() {
    let app = office("life").await;
    let case = app.in_force(MIGRANT).await;
    let issued = app.today();
    let day = |months| add_months(issued, months);
    assert_eq!(day(6).to_string(), "2028-02-29");
    let permit = app.permit(&case).await;
    assert_eq!(permit["endsOn"], json!(day(12)));
    let mut told = 0;
    let mut paid = 1;
    while paid < 12 {
        let through = day(paid);
        assert_eq!(app.paid_through(&case).await, through, "after {paid} months");
        app.drain().await;
        app.go_to(through - Days::new(11), 23);
        app.drain().await;
        assert_eq!(app.reminders(&case).await, told, "before the tenth day there is no reminder");
        app.go_to(through - Days::new(10), 0);
        app.drain().await;
        app.drain().await;
        assert_eq!(app.reminders(&case).await, told + 1, "ten days before {through}");
        told += 1;
        let price =
            |day: NaiveDate| if day >= "2028-01-01".parse().unwrap() { IN_2028 } else { IN_2027 };
        if paid % 3 == 1 {
            // Paid between the reminders: the second one is not sent, and for two months at once.
            app.go_to(through - Days::new(5), 12);
            let two = 2 * price(app.today());
            assert_eq!(app.pay_month(&case, two).await, "booked");
            paid += 2;
            app.go_to(through - Days::new(3), 0);
            app.drain().await;
            assert_eq!(app.reminders(&case).await, told, "it was paid meanwhile");
        } else {
            app.go_to(through - Days::new(3), 0);
            app.drain().await;
            app.drain().await;
            assert_eq!(app.reminders(&case).await, told + 1, "three days before {through}");
            told += 1;
            // In the last hour of the last day.
            app.go_to(through, 23);
            assert_eq!(app.pay_month(&case, price(app.today())).await, "booked");
            paid += 1;
        }
    }
    assert_eq!(app.paid_through(&case).await, day(12));
    let seen = app.see(&case.id).await;
    let open = seen["charges"].as_array().unwrap().iter().filter(|one| one["status"] == "open");
    assert_eq!(open.count(), 0, "after twelve months there is no next one");
    app.go_to(day(12), 23);
    app.drain().await;
    assert_eq!(app.reminders(&case).await, told, "there is nothing to pay");
    assert_eq!(app.state(&case.id).await, "inForce");
    app.go_to(day(12) + Days::new(1), 0);
    app.drain().await;
    assert_eq!(app.state(&case.id).await, "expired");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn who_does_not_pay_is_told_twice_in_his_language_and_lapses_at_midnight() {
    let app = office("lapse").await;
    let case = app.in_force(MIGRANT).await;
    let bill = app.owed(&case.id).await;
    assert_eq!((&bill["fee"], &bill["position"]), (&json!("monthTax"), &json!("whileInForce")));
    assert_eq!(bill["amount"]["kopecks"], IN_2027);
    let through = app.paid_through(&case).await;
    for days in [10, 3] {
        app.go_to(through - Days::new(days), 0);
        app.drain().await;
    }
    assert_eq!(app.reminders(&case).await, 2);
    let mails = fs::read_dir(&app.mail_directory).unwrap();
    let mails = mails.map(|mail| decoded(&fs::read_to_string(mail.unwrap().path()).unwrap()));
    let reminders: Vec<String> = mails.filter(|text| text.contains("30 сентября 2027")).collect();
    assert_eq!(reminders.len(), 2, "by name in Russian, as the form asks for");
    for text in &reminders {
        assert!(text.contains("10 800,00"), "{text}");
        assert!(text.contains(bill["uin"].as_str().unwrap()), "{text}");
    }
    app.go_to(through, 23);
    app.drain().await;
    assert_eq!(app.state(&case.id).await, "inForce", "the last paid day counts");
    app.go_to(through + Days::new(1), 0);
    app.drain().await;
    assert_eq!(app.state(&case.id).await, "lapsed");
    let permit = app.permit(&case).await;
    assert_eq!((&permit["status"], &permit["closedOn"]), (&json!("lapsed"), &json!("2027-10-01")));
    let charges = app.see(&case.id).await["charges"].clone();
    let last = charges.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["status"], "annulled", "nothing more is owed");
    // Paid late, or in time and told of late: it waits, and revives nothing.
    assert_eq!(app.pay_bill(&bill, IN_2027, app.now()).await, "waiting");
    assert_eq!(app.pay_bill(&bill, IN_2027, app.now() - TimeDelta::hours(2)).await, "waiting");
    assert_eq!(app.state(&case.id).await, "lapsed");
    app.agreed(&case.id).await;
}

/// The text of a mail, which is sent in base64.
fn decoded(mail: &str) -> String {
    let body = mail.replace("\r\n", "\n");
    let body: String = body.split_once("\n\n").unwrap().1.split_whitespace().collect();
    let bytes = STANDARD.decode(body).unwrap();
    String::from_utf8(bytes).unwrap().replace('\u{a0}', " ")
}

#[actix_web::test]
async fn a_month_costs_what_it_does_on_the_day_of_the_payment_and_a_part_of_it_prolongs_nothing() {
    let app = office("price").await;
    let case = app.in_force(MIGRANT).await;
    // Until the end of the year, billed at its price.
    assert_eq!(app.pay_month(&case, 3 * IN_2027).await, "booked");
    assert_eq!(app.paid_through(&case).await.to_string(), "2027-12-31");
    app.go_to("2027-12-20".parse().unwrap(), 12);
    assert_eq!(app.pay_month(&case, IN_2027).await, "booked");
    app.go_to("2028-01-15".parse().unwrap(), 12);
    let bill = app.owed(&case.id).await;
    assert_eq!(bill["amount"]["kopecks"], IN_2027, "as it was billed in December");
    assert_eq!(app.pay_month(&case, IN_2027).await, "booked");
    let short = app.owed(&case.id).await;
    assert_eq!(short["id"], bill["id"]);
    assert_eq!(short["amount"]["kopecks"], IN_2028, "it was paid in January");
    assert_eq!((&short["changeStatus"], &short["acknowledgement"]), (&json!(2), &json!(2)));
    assert_eq!(short["outstanding"]["kopecks"], IN_2028 - IN_2027);
    assert_eq!(app.paid_through(&case).await.to_string(), "2028-01-31");
    // The rest of it, a further month, and a little that waits.
    assert_eq!(app.pay_month(&case, IN_2028 - IN_2027 + IN_2028 + 77).await, "booked");
    assert_eq!(app.paid_through(&case).await.to_string(), "2028-03-31");
    let waits = "SELECT sum(waiting_kopecks)::bigint, sum(amount_kopecks - matched_kopecks - waiting_kopecks)::bigint FROM payments";
    let row = app.sql().await.query_one(waits, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (77, 0));
    // Paid in December and told of in January: the price of December.
    app.go_to("2028-02-10".parse().unwrap(), 12);
    let bill = app.owed(&case.id).await;
    let december = "2027-12-31T20:59:00Z".parse().unwrap();
    assert_eq!(app.pay_bill(&bill, IN_2027, december).await, "booked");
    assert_eq!(app.paid_through(&case).await.to_string(), "2028-04-30");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn more_than_twelve_months_cannot_be_paid_and_what_is_too_much_waits() {
    let app = office("most").await;
    let case = app.in_force(MIGRANT).await;
    assert_eq!(app.pay_month(&case, 13 * IN_2027).await, "booked");
    let permit = app.permit(&case).await;
    assert_eq!(permit["paidThrough"], permit["endsOn"]);
    let list = app.get("/v1/payments").by(SENIOR).send().await.expect(200).json();
    assert_eq!(list["items"][0]["waiting"]["kopecks"], 2 * IN_2027);
    let jobs = "SELECT count(*) FROM jobs WHERE finished_at IS NULL AND kind = 'timer' AND key NOT LIKE '%expire%' \
         AND key NOT LIKE '%uty%'";
    let left: i64 = app.sql().await.query_one(jobs, &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "neither a reminder nor a lapse is waited for");
    app.agreed(&case.id).await;
}

#[actix_web::test]
async fn months_are_paid_while_an_annulment_is_proposed_and_billed_anew_when_a_court_reinstates() {
    let app = office("annulment").await;
    let case = app.in_force(MIGRANT).await;
    let propose =
        json!({ "command": "proposeAnnulment", "grounds": ["G17"], "reason": "other region" });
    app.command(OFFICER, &case.id, propose).await.expect(200);
    assert_eq!(app.pay_month(&case, IN_2027).await, "booked");
    assert_eq!(app.paid_through(&case).await.to_string(), "2027-10-31");
    let bill = app.owed(&case.id).await;
    app.command(SENIOR, &case.id, json!({ "command": "confirmAnnulment" })).await.expect(200);
    assert_eq!(app.pay_bill(&bill, IN_2027, app.now()).await, "waiting");
    let order = json!({ "command": "courtOrder", "reason": "ordered", "basis": {
        "court": "Tverskoy", "number": "02a-1/2027", "judgedOn": app.today() } });
    app.command(crate::support::app::OTHER_SENIOR, &case.id, order).await.expect(200);
    assert_ne!(app.owed(&case.id).await["uin"], bill["uin"]);
    assert_eq!(app.pay_month(&case, IN_2027).await, "booked");
    assert_eq!(app.paid_through(&case).await.to_string(), "2027-11-30");
    app.agreed(&case.id).await;
}

impl TestApp {
    /// Copies a case into a unit, with its permit, its open bill and its timers; the copies have no history but what happens
    /// to them from now on.
    async fn copies(&self, case: &Case, unit: &str, count: u64) -> Vec<Case> {
        let sql = self.sql().await;
        let mut copies = Vec::new();
        let (mut ids, mut references, mut numbers, mut uins) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for number in 1..=count {
            let serial = 100_000 + 1_000 * u64::from(unit == "78") + number;
            let id = uuid::Uuid::from_u128(
                0x0199_0000_0000_7000_8000_0000_0100_0000 + u128::from(serial),
            );
            let reference = Reference::from_random(serial.to_be_bytes()).to_string();
            numbers.push(PermitNumber::compose(unit, serial).to_string());
            uins.push(Uin::compose("188", serial).to_string());
            ids.push(id.to_string());
            references.push(reference.clone());
            copies.push(Case { id: id.to_string(), reference, applicant: case.applicant });
        }
        // A statement with parameters makes no table: the names are kept first.
        sql.batch_execute(
            "CREATE TEMP TABLE named (id uuid, reference text, number text, uin text)",
        )
        .await
        .unwrap();
        let keep = "INSERT INTO named SELECT n.id::uuid, n.reference, n.number, n.uin \
                    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS n(id, reference, number, uin)";
        sql.execute(keep, &[&ids, &references, &numbers, &uins]).await.unwrap();
        let template = &case.id;
        for (table, key, others) in [
            (
                "applications",
                "id",
                "'id', n.id, 'reference', n.reference, 'unit_code', '{unit}', 'person_key', t.person_key || n.number",
            ),
            ("permits", "application_id", "'application_id', n.id, 'number', n.number"),
            (
                "charges",
                "status = 'open' AND t.application_id",
                "'application_id', n.id, 'id', gen_random_uuid(), 'uin', n.uin",
            ),
        ] {
            let columns = format!(
                "SELECT string_agg(column_name, ', '), string_agg('r.' || column_name, ', ') \
                 FROM information_schema.columns WHERE table_name = '{table}' AND is_generated = 'NEVER'"
            );
            let columns = sql.query_one(&columns, &[]).await.unwrap();
            let (names, values): (String, String) = (columns.get(0), columns.get(1));
            let others = others.replace("{unit}", unit);
            let copy = format!(
                "INSERT INTO {table} ({names}) SELECT {values} FROM {table} t, named n, \
                 jsonb_populate_record(t, jsonb_build_object({others})) r WHERE t.{key} = '{template}'"
            );
            sql.batch_execute(&copy).await.unwrap();
        }
        let copy = format!(
            "INSERT INTO jobs (kind, key, payload, run_at, created_at) SELECT j.kind, \
               replace(j.key, '{template}', n.id::text), j.payload || jsonb_build_object('application', n.id), \
               j.run_at - CASE WHEN '{unit}' = '78' THEN interval '7 hours' ELSE interval '0' END, j.created_at \
               FROM jobs j, named n \
               WHERE j.kind = 'timer' AND j.finished_at IS NULL AND j.payload ->> 'application' = '{template}'"
        );
        sql.batch_execute(&copy).await.unwrap();
        copies
    }

    /// Has two workers give what the timer has to, side by side, until nothing is due.
    async fn midnight(&self) -> usize {
        let work = async || {
            let worker = propusk::app::worker(&self.app).unwrap();
            let mut all = 0;
            loop {
                match worker.batch().await.unwrap() {
                    0 => return all,
                    some => all += some,
                }
            }
        };
        let (one, other) = tokio::join!(work(), work());
        assert!(one > 0 && other > 0, "the two share the work: {one} and {other}");
        one + other
    }

    async fn count(&self, query: &str) -> i64 {
        self.sql().await.query_one(query, &[]).await.unwrap().get(0)
    }
}

#[actix_web::test]
async fn at_its_own_midnight_a_unit_s_many_unpaid_permits_lapse_in_batches_and_no_payment_is_lost()
{
    let app = TestApp::spawn().await;
    app.sql()
        .await
        .execute("UPDATE units SET time_zone = 'Asia/Vladivostok' WHERE code = '78'", &[])
        .await
        .unwrap();
    let case = app.in_force(MIGRANT).await;
    app.drain().await;
    let through = app.paid_through(&case).await;
    let moscow = app.copies(&case, "77", 230).await;
    let east = app.copies(&case, "78", 220).await;
    let timers = "UPDATE jobs SET finished_at = now(), outcome = 'done' WHERE payload ->> 'command' LIKE 'remind%'";
    app.sql().await.execute(timers, &[]).await.unwrap();

    // A payment moves the end to the midnight of its own unit.
    assert_eq!(
        app.pay_month(&east[0], app.owed(&east[0].id).await["amount"]["kopecks"].as_i64().unwrap())
            .await,
        "booked"
    );
    let lapse = format!(
        "SELECT extract(epoch FROM run_at)::bigint FROM jobs WHERE key LIKE '%{}%' AND payload ->> 'command' = 'lapse'",
        east[0].id
    );
    let midnight: DateTime<Utc> = "2026-05-02T14:00:00Z".parse().unwrap();
    assert_eq!(app.count(&lapse).await, midnight.timestamp());

    // 17 o'clock in Moscow is midnight in Vladivostok.
    app.go_to(through, 16);
    assert_eq!(propusk::app::worker(&app.app).unwrap().batch().await.unwrap(), 0);
    app.go_to(through, 17);
    assert_eq!(app.midnight().await, 219);
    let lapsed = "SELECT count(*) FROM applications WHERE state = 'lapsed' AND unit_code =";
    assert_eq!(app.count(&format!("{lapsed} '78'")).await, 219);
    assert_eq!(app.count(&format!("{lapsed} '77'")).await, 0);
    assert_eq!(app.state(&east[0].id).await, "inForce");

    // Paid in the last minute and told of at midnight: before the timer comes, while it does, and after it came.
    app.go_to(through + Days::new(1), 0);
    let month = app.owed(&case.id).await["amount"]["kopecks"].as_i64().unwrap();
    let in_time = app.now() - TimeDelta::minutes(1);
    let bills = [&moscow[0], &moscow[1], &moscow[229]].map(|one| app.owed(&one.id));
    let bills: Vec<Value> = futures_util::future::join_all(bills).await;
    assert_eq!(app.pay_bill(&bills[0], month, in_time).await, "booked");
    let (_, meanwhile) = tokio::join!(app.midnight(), app.pay_bill(&bills[1], month, in_time));
    let state = app.state(&moscow[1].id).await;
    assert!(
        [("booked", "inForce"), ("waiting", "lapsed")]
            .contains(&(meanwhile.as_str(), state.as_str())),
        "{meanwhile}, {state}"
    );
    assert_eq!(app.pay_bill(&bills[2], month, in_time).await, "waiting");
    let kept = i64::from(meanwhile == "booked") + 1;
    assert_eq!(app.count(&format!("{lapsed} '77'")).await, 231 - kept);
    let events =
        "SELECT count(*) - count(DISTINCT application_id) FROM events WHERE kind = 'lapsed'";
    assert_eq!(app.count(events).await, 0, "each once");
    assert_eq!(app.count("SELECT count(*) FROM events WHERE kind = 'lapsed'").await, 450 - kept);
    let due = "SELECT count(*) FROM jobs WHERE kind = 'timer' AND finished_at IS NULL AND leased_until IS NOT NULL";
    assert_eq!(app.count(due).await, 0);
    app.agreed(&case.id).await;
}
