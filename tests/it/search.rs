//! Officers find what was handed in to their unit, by what stands on the paper before them, and nothing else.

use std::collections::BTreeSet;
use std::process::Command;

use chrono::TimeDelta;
use propusk::casework::erasure::{Reason, Whose};
use propusk::storage::{migrate, search};
use serde_json::{Value, json};

use crate::support::app::{
    EMPLOYER, MIGRANT, OFFICER, OTHER_MIGRANT, PETERSBURG_OFFICER, Person, SENIOR, TestApp,
};
use crate::support::drive::Case;

struct Desk {
    app: TestApp,
}

impl Desk {
    async fn handed_in(&self, who: Person, name: [&str; 3], passport: &str) -> Case {
        let app = &self.app;
        let case = app.draft_with(who, "patent", self.form(name, passport)).await;
        app.command(who, &case.id, json!({ "command": "submit" })).await.expect(200);
        case
    }

    fn form(&self, [family, given, patronymic]: [&str; 3], passport: &str) -> Value {
        let mut form = self.app.form();
        form["person"]["familyName"] = json!(family);
        form["person"]["givenName"] = json!(given);
        form["person"]["patronymic"] = json!(patronymic);
        form["passport"]["number"] = json!(passport);
        form
    }

    async fn page(&self, who: Person, query: &str) -> (Vec<String>, Option<String>) {
        let reply = self.app.get(query).by(who).send().await.expect(200);
        let items = reply.json()["items"].as_array().unwrap().clone();
        let ids = items.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
        let link = reply.header("link").map(|link| link[1..].split('>').next().unwrap().to_owned());
        (ids, link)
    }

    async fn find(&self, who: Person, typed: &str) -> Vec<String> {
        self.page(who, &format!("/v1/search?q={}", encoded(typed))).await.0
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[actix_web::test]
async fn cyrillic_finds_latin_and_the_reverse_by_beginnings_of_words_in_any_order() {
    let desk = Desk { app: TestApp::spawn().await };
    let yusupov = desk.handed_in(MIGRANT, ["Юсупов", "Хамид", "Жўраевич"], "FA1000001").await;
    let latin =
        desk.handed_in(OTHER_MIGRANT, ["Akhmedov", "Jamshid", "Yusuf o'g'li"], "FA1000002").await;
    let karimova =
        desk.handed_in(EMPLOYER, ["Каримова", "Гулнора", "Хамидовна"], "FA1000003").await;
    let cases = [
        ("Yusupov", vec![&yusupov]),
        ("iusupov", vec![&yusupov]),
        ("JUSUPOV khamid", vec![&yusupov]),
        ("xamid yusup", vec![&yusupov]),
        ("Джураевич", vec![&yusupov]),
        ("joʻraev", vec![&yusupov]),
        ("юсуф", vec![&latin]),
        ("Ахмедов Джамшид", vec![&latin]),
        ("axmed", vec![&latin]),
        // Аксёнов could come of it, whose кс is written x, which is also х.
        ("ак", vec![&latin]),
        ("Ak", vec![&latin]),
        ("угли", vec![&latin]),
        ("юс", vec![&latin, &yusupov]),
        ("ha", vec![&karimova, &yusupov]),
        ("Karimova G", vec![&karimova]),
        ("Каримова Р", vec![]),
        ("Юсупов Гулнора", vec![]),
        ("FA1000003", vec![&karimova]),
        ("fa 1000003", vec![&karimova]),
        ("FA1000", vec![&yusupov, &latin, &karimova]),
        ("FA1000 хам", vec![&yusupov, &karimova]),
        ("Петров", vec![]),
    ];
    for (typed, expected) in cases {
        let found = desk.find(OFFICER, typed).await;
        let expected: BTreeSet<&String> = expected.iter().map(|case| &case.id).collect();
        assert_eq!(found.iter().collect::<BTreeSet<_>>(), expected, "{typed}");
        assert_eq!(found.len(), expected.len(), "{typed}: once each");
    }
    let reference = yusupov.reference.to_lowercase().replace('-', "");
    assert_eq!(desk.find(SENIOR, &reference).await, [yusupov.id.as_str()]);
    let refused = desk.app.get("/v1/search?q=%D0%AE").by(OFFICER).send().await.expect(400);
    assert_eq!(refused.errors(), ["q too-short"]);
    let refused = desk.app.get("/v1/search").by(OFFICER).send().await.expect(400);
    assert_eq!(refused.errors().len(), 1);
}

#[actix_web::test]
async fn drafts_other_units_and_what_was_erased_are_never_found() {
    let desk = Desk { app: TestApp::spawn().await };
    let app = &desk.app;
    let form = desk.form(["Юсупов", "Хамид", "Х"], "FA2000001");
    let draft = app.draft_with(MIGRANT, "patent", form).await;
    let form = desk.form(["Юсупов", "Карим", "Х"], "FA2000002");
    let elsewhere = app.open_at("78", EMPLOYER, "patent", form).await;
    app.attach_all(&elsewhere, "patent").await;
    app.command(EMPLOYER, &elsewhere.id, json!({ "command": "submit" })).await.expect(200);
    let typed = ["Юсупов", "FA2000001", "FA2000002", &draft.reference, &elsewhere.reference];
    for typed in typed {
        assert_eq!(desk.find(OFFICER, typed).await, [""; 0], "{typed}");
    }
    for typed in ["Юсупов", "FA2000002", &elsewhere.reference] {
        let found = desk.find(PETERSBURG_OFFICER, typed).await;
        assert_eq!(found, [elsewhere.id.as_str()], "{typed}");
    }
    app.command(MIGRANT, &draft.id, json!({ "command": "submit" })).await.expect(200);
    assert_eq!(desk.find(OFFICER, "Юсупов").await, [draft.id.as_str()]);
    app.command(MIGRANT, &draft.id, json!({ "command": "withdraw" })).await.expect(200);
    assert_eq!(desk.find(OFFICER, "Юсупов").await, [draft.id.as_str()], "what is over is found");
    let sql = app.sql().await;
    // Its term is over long after.
    app.advance(TimeDelta::days(365 * 8));
    let reason = Reason::Request { basis: "order 7", role: "operator" };
    let erased = Whose::Application(draft.id.parse().unwrap());
    app.app.casework.erase(erased, reason).await.unwrap();
    for typed in ["Юсупов", "FA2000001", &draft.reference] {
        assert_eq!(desk.find(OFFICER, typed).await, [""; 0], "{typed}");
    }
    let words = "SELECT count(*) FROM application_words WHERE application_id::text = $1";
    assert_eq!(sql.query_one(words, &[&draft.id]).await.unwrap().get::<_, i64>(0), 0);
}

#[actix_web::test]
async fn a_permit_is_found_by_its_number() {
    let desk = Desk { app: TestApp::spawn().await };
    let permit = desk.app.in_force(MIGRANT).await;
    let number = desk.app.see(&permit.id).await["permit"]["number"].as_str().unwrap().to_owned();
    assert_eq!(desk.find(OFFICER, &number).await, [permit.id.as_str()]);
    assert_eq!(desk.find(OFFICER, &number.replace('-', "")).await, [permit.id.as_str()]);
    assert_eq!(desk.find(PETERSBURG_OFFICER, &number).await, [""; 0]);
}

#[actix_web::test]
async fn pages_of_a_search_hold_each_application_once_and_each_page_is_a_read() {
    let desk = Desk { app: TestApp::spawn().await };
    let mut all = BTreeSet::new();
    for number in 0..7 {
        // Two words of each begin alike: it is found by the first of them.
        let name = [["Юсупов", "Юсуф", "Юнусович"], ["Yunusov", "Yusup", "X"]][number % 2];
        let case = desk.handed_in(EMPLOYER, name, &format!("FA300000{number}")).await;
        all.insert(case.id);
        desk.app.advance(TimeDelta::seconds(1));
    }
    let reads = desk.app.reads().await;
    for limit in [1, 2, 3, 100] {
        assert_eq!(desk.find(OFFICER, "ющ").await, [""; 0]);
        let mut next = Some(format!("/v1/search?q={}&limit={limit}", encoded("Yu")));
        let mut found = Vec::new();
        while let Some(path) = next {
            let (ids, link) = desk.page(OFFICER, &path).await;
            found.extend(ids);
            next = link;
        }
        assert_eq!(found.iter().cloned().collect::<BTreeSet<_>>(), all, "{limit}");
        assert_eq!(found.len(), all.len(), "{limit}");
    }
    // Nothing was shown of what begins nothing; of the others each page says whom it showed.
    assert_eq!(desk.app.reads().await - reads, 7 + 4 + 3 + 1);
    let row = "SELECT content, cardinality(subjects) FROM events WHERE kind = 'searchRead' \
               ORDER BY cardinality(subjects) DESC LIMIT 1";
    let row = desk.app.sql().await.query_one(row, &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(1), 7);
    let content: Value = serde_json::from_str(row.get(0)).unwrap();
    let fields = json!({ "fields": ["summary", "personName", "lastNote", "openChecks"] });
    assert_eq!(content, fields, "what was typed is nobody's business");
    // A cursor of one search is none of another.
    let (_, link) = desk.page(OFFICER, "/v1/search?q=Yu&limit=1").await;
    let cursor = link.unwrap().split("cursor=").nth(1).unwrap().to_owned();
    let other = desk.app.get(&format!("/v1/search?q=Yus&cursor={cursor}")).by(OFFICER);
    assert_eq!(other.send().await.expect(400).errors(), ["cursor invalid-cursor"]);
}

#[actix_web::test]
async fn a_form_that_changes_after_handing_in_is_found_under_what_it_says_now() {
    let desk = Desk { app: TestApp::spawn().await };
    let case = desk.handed_in(MIGRANT, ["Юсупов", "Хамид", "Юсуфович"], "FA4000001").await;
    let words = async || -> Vec<String> {
        let words = "SELECT word FROM application_words WHERE application_id::text = $1 AND unit_code = '77' ORDER BY 1";
        let rows = desk.app.sql().await.query(words, &[&case.id]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    assert_eq!(words().await, ["fa4000001", "hamid", "iusufovich", "iusupov"]);
    let beside = "SELECT DISTINCT all_words FROM application_words WHERE application_id::text = $1";
    let beside = desk.app.sql().await.query(beside, &[&case.id]).await.unwrap();
    let beside: Vec<String> = beside.iter().map(|row| row.get(0)).collect();
    assert_eq!(beside, [" fa4000001 hamid iusufovich iusupov "], "each has all beside it");
    // Only those words, by the statement that hands it in; nothing else touches them.
    desk.app.pay(&case.id).await;
    desk.app.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
    assert_eq!(words().await.len(), 4);
}

#[actix_web::test]
async fn what_was_handed_in_before_there_was_a_search_is_found_after_migrating() {
    let desk = Desk { app: TestApp::spawn().await };
    let app = &desk.app;
    let mut cases = Vec::new();
    for number in 0..5 {
        let name = ["Юсупов", "Хамид", "Юсуфович"];
        cases.push(desk.handed_in(EMPLOYER, name, &format!("FA500000{number}")).await);
    }
    app.draft_with(MIGRANT, "patent", desk.form(["Юсупов", "Карим", "Х"], "FA5000009")).await;
    let erased = desk.handed_in(OTHER_MIGRANT, ["Юсупов", "Анвар", "Х"], "FA5000008").await;
    app.command(OTHER_MIGRANT, &erased.id, json!({ "command": "withdraw" })).await.expect(200);
    let sql = app.sql().await;
    // Its term is over long after.
    app.advance(TimeDelta::days(365 * 8));
    let reason = Reason::Request { basis: "order 7", role: "operator" };
    app.app.casework.erase(Whose::Application(erased.id.parse().unwrap()), reason).await.unwrap();

    let words = async || -> Vec<(String, String)> {
        let words = "SELECT application_id::text, unit_code || ' ' || word FROM application_words \
                     ORDER BY 1, 2";
        let rows = sql.query(words, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };
    let written = words().await;
    let forget = "DELETE FROM application_words WHERE application_id::text <> $1";
    assert_eq!(sql.execute(forget, &[&cases[0].id]).await.unwrap(), 16);
    assert_eq!(desk.find(OFFICER, "Yusupov").await, [cases[0].id.as_str()]);

    // In batches that do not come out even, as the migration does with more of them.
    let mut owner = migrate::connect(app.database.url()).await.unwrap();
    assert_eq!(search::index_missing(&mut owner, 3).await.unwrap(), 4);
    assert_eq!(words().await, written, "the same as the door writes, and none of drafts");
    assert_eq!(desk.find(OFFICER, "Yusupov").await.len(), 5);
    assert_eq!(search::index_missing(&mut owner, 3).await.unwrap(), 0);

    sql.execute(forget, &[&cases[0].id]).await.unwrap();
    let told = || {
        let mut process = Command::new(env!("CARGO_BIN_EXE_propusk"));
        let process = process.arg("migrate").env_clear().env("DATABASE_URL", app.database.url());
        let output = process.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(told(), "indexed 4 applications for the search\n");
    assert_eq!(words().await, written);
    assert_eq!(told(), "nothing to migrate\n");
    assert_eq!(words().await, written);
}
