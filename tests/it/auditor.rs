//! What auditors ask of the log: its filters, who saw a file, and the log as a file.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use propusk::audit::note;
use propusk::casework::erasure::{Reason, Whose};
use propusk::storage::audit::{self, Access, Filter, Only, Question};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::support::app::{
    ADMINISTRATOR, AUDITOR, EMPLOYER, MIGRANT, OFFICER, OTHER_MIGRANT, OTHER_OFFICER, Person,
    SENIOR, TestApp,
};
use crate::support::drive::Case;

/// All items of a list, page by page; every page but the last is full.
async fn follow(app: &TestApp, person: Person, path: &str, limit: usize) -> Vec<Value> {
    let mut next = format!("{path}&limit={limit}");
    let mut all = Vec::new();
    loop {
        let reply = app.get(&next).by(person).send().await.expect(200);
        let items = reply.json()["items"].as_array().unwrap().clone();
        let link = reply.header("link").map(|link| link[1..].split('>').next().unwrap().to_owned());
        assert!(link.is_none() || items.len() == limit, "{path}");
        all.extend(items);
        match link {
            Some(link) => next = link,
            None => return all,
        }
    }
}

async fn events(app: &TestApp, query: &str) -> Vec<Value> {
    // Questions asked meanwhile are newer than the first page.
    app.advance(TimeDelta::seconds(1));
    follow(app, AUDITOR, &format!("/v1/audit/events?{query}"), 7).await
}

fn each<'a>(items: &'a [Value], name: &str) -> BTreeSet<&'a str> {
    items.iter().map(|item| item[name].as_str().unwrap_or("none")).collect()
}

/// Publishes the log; gives its size.
async fn publish(app: &TestApp) -> i64 {
    app.publish().await;
    let size = "SELECT size FROM log_checkpoints ORDER BY id DESC LIMIT 1";
    app.sql().await.query_one(size, &[]).await.unwrap().get(0)
}

/// What a manifest's signature says, without it; it is the log's own under the name for exports.
fn signed(app: &TestApp, manifest: &Value) -> Value {
    let keys = app.app.log_keys.purpose_verifiers("export").unwrap();
    let note = note::open(manifest["signature"].as_str().unwrap(), &keys).unwrap();
    assert!(note.signatures.iter().all(|one| one.key.name() == "permits.example.org/log/export"));
    serde_json::from_str(&note.text).unwrap()
}

// ── Filters ───────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn each_filter_finds_exactly_what_fits_newest_first() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.open_at("78", EMPLOYER, "patent", app.form()).await;
    app.advance(TimeDelta::hours(1));
    let noon = app.now();
    app.get(&case.path("")).by(OFFICER).send().await.expect(200);
    let complaint =
        app.get(&case.path("/history")).by(SENIOR).header("access-purpose", "complaint");
    complaint.send().await.expect(200);
    app.advance(TimeDelta::hours(1));
    let all = events(&app, "").await;
    let (noon_text, after) = (noon.to_rfc3339().replace('+', "%2B"), noon + TimeDelta::minutes(1));
    let after_text = after.to_rfc3339().replace('+', "%2B");
    type Fits<'a> = &'a dyn Fn(&Value) -> bool;
    let before = |event: &Value, end: DateTime<Utc>| {
        event["at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap() < end
    };
    let filters: [(String, Fits<'_>); 12] = [
        (format!("application={}", case.id), &|event| event["application"] == case.id.as_str()),
        (format!("actor={}", OFFICER.id()), &|event| event["actor"] == json!(OFFICER.id())),
        ("kind=accepted".to_owned(), &|event| event["kind"] == "accepted"),
        ("unit=78".to_owned(), &|event| event["unit"] == "78"),
        ("role=seniorOfficer".to_owned(), &|event| event["role"] == "seniorOfficer"),
        ("role=operator".to_owned(), &|event| event["role"] == "operator"),
        ("purpose=complaint".to_owned(), &|event| event["purpose"] == "complaint"),
        ("only=changes".to_owned(), &|event| event["seq"].is_number()),
        (format!("from={noon_text}"), &|event| !before(event, noon)),
        (format!("to={noon_text}"), &|event| before(event, noon)),
        (format!("from={noon_text}&to={after_text}"), &|event| {
            !before(event, noon) && before(event, after)
        }),
        (format!("role=officer&only=reads&to={after_text}"), &|event| {
            event["role"] == "officer" && event["purpose"].is_string()
        }),
    ];
    let newest_first = |events: &[Value]| {
        let ids: Vec<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
        ids.is_sorted_by(|one, next| one > next)
    };
    assert!(newest_first(&all), "{all:?}");
    assert!(all.len() > 20, "{}", all.len());
    for (query, fits) in filters {
        let found = events(&app, &query).await;
        let found: Vec<&Value> =
            found.iter().filter(|event| event["kind"] != "logQueried").collect();
        let expected: Vec<&Value> =
            all.iter().filter(|event| event["kind"] != "logQueried" && fits(event)).collect();
        assert!(!expected.is_empty(), "{query} finds nothing");
        assert_eq!(found, expected, "{query}");
    }
    let reads = events(&app, "only=reads").await;
    assert!(reads.iter().all(|event| event["purpose"].is_string() && event["seq"].is_null()));
    assert!(each(&reads, "kind").contains("logQueried"), "questions are reads");
    for (query, error) in [
        ("purpose=curiosity", "purpose unknown-value"),
        ("only=some", "only unknown-value"),
        ("kind=", "kind length"),
        ("role=", "role length"),
        ("application=7", "application invalid-value"),
        ("format=csv", "format unknown-member"),
    ] {
        let reply = app.get(&format!("/v1/audit/events?{query}")).by(AUDITOR).send().await;
        assert_eq!(reply.expect(400).errors(), [error], "{query}");
    }
}

#[actix_web::test]
async fn an_instant_within_a_millisecond_is_kept_to() {
    let app = TestApp::spawn().await;
    app.advance(TimeDelta::microseconds(300));
    let early = app.open(MIGRANT, "patent", json!({})).await;
    app.advance(TimeDelta::microseconds(300));
    let middle = app.now();
    let late = app.open(MIGRANT, "patent", json!({})).await;
    let middle = middle.to_rfc3339().replace('+', "%2B");
    let opened = events(&app, &format!("kind=opened&to={middle}")).await;
    assert_eq!(each(&opened, "application"), BTreeSet::from([early.id.as_str()]));
    let opened = events(&app, &format!("kind=opened&from={middle}")).await;
    assert_eq!(each(&opened, "application"), BTreeSet::from([late.id.as_str()]));
}

#[actix_web::test]
async fn an_event_shows_its_number_its_commitment_and_that_it_was_erased() {
    let app = TestApp::spawn().await;
    let case = app.open(MIGRANT, "patent", app.form()).await;
    app.get(&case.path("")).by(AUDITOR).send().await.expect(200);
    app.command(MIGRANT, &case.id, json!({ "command": "withdraw" })).await.expect(200);
    let size = publish(&app).await;
    let query = format!("application={}", case.id);
    let shown = events(&app, &query).await;
    let sql = app.sql().await;
    for event in &shown {
        let row = "SELECT encode(e.commitment, 'hex'), l.index FROM events e \
                   LEFT JOIN log_leaves l ON l.event_id = e.id WHERE e.id = $1::text::uuid";
        let row = sql.query_one(row, &[&event["id"].as_str().unwrap()]).await.unwrap();
        assert_eq!(event["commitment"], row.get::<_, &str>(0));
        let index: Option<i64> = row.get(1);
        assert_eq!(event["index"].as_i64(), index);
        assert!(event.get("erased").is_none() && event["content"].is_object(), "{event}");
    }
    let numbered = shown.iter().filter_map(|event| event["index"].as_i64());
    assert!(numbered.filter(|index| (0..size).contains(index)).count() == 3);
    app.advance(TimeDelta::days(400));
    let reason = Reason::Request { basis: "order 1", role: "operator" };
    let whose = Whose::Application(case.id.parse().unwrap());
    app.app.casework.erase(whose, reason).await.unwrap();
    let erased = events(&app, &format!("{query}&to={}", "2026-03-02T06:00:01Z")).await;
    assert_eq!(erased.len(), 3);
    for event in &erased {
        assert_eq!((&event["erased"], event.get("content")), (&json!(true), None));
        let before = shown.iter().find(|one| one["id"] == event["id"]).unwrap();
        assert_eq!(
            (&before["index"], &before["commitment"]),
            (&event["index"], &event["commitment"])
        );
    }
    // Who read it stays known, but for what was shown.
    let accesses = format!("/v1/audit/accesses?application={}", case.id);
    let accesses = follow(&app, AUDITOR, &accesses, 50).await;
    let read = accesses.iter().rfind(|one| one["kind"] == "applicationRead").unwrap();
    assert_eq!((&read["name"], &read["fields"]), (&json!("auditor"), &json!([])));
}

// ── Who saw a file ────────────────────────────────────────────────────────────────────────────────────────

/// What was seen by whom, newest first.
fn told(accesses: &[Value]) -> Vec<String> {
    let text = |access: &Value, name: &str| access[name].as_str().unwrap_or("-").to_owned();
    let one = |access: &Value| {
        let who = text(access, "name");
        format!(
            "{who} {} {} {}",
            text(access, "kind"),
            text(access, "unit"),
            text(access, "purpose")
        )
    };
    accesses.iter().map(one).collect()
}

/// An application that was read in every way, by [`OFFICER`], [`OTHER_OFFICER`], [`SENIOR`] and [`AUDITOR`], after being
/// driven there by people of whom some read it, too.
async fn seen_by_all(app: &TestApp) -> Case {
    let case = app.checking(MIGRANT).await;
    let other = app.submitted(EMPLOYER).await;
    let forget = "ALTER TABLE events DISABLE TRIGGER USER; DELETE FROM events WHERE purpose IS NOT NULL; \
                  ALTER TABLE events ENABLE TRIGGER USER";
    app.sql().await.batch_execute(forget).await.unwrap();
    let read = async |person: Person, path: &str| {
        app.advance(TimeDelta::minutes(1));
        app.get(path).by(person).send().await.expect(200);
    };
    read(OFFICER, &case.path("")).await;
    read(OFFICER, &other.path("")).await;
    read(OTHER_OFFICER, &case.path("/documents/passport")).await;
    read(OTHER_OFFICER, "/v1/queues/checks/applications").await;
    read(OTHER_OFFICER, "/v1/queues/intake/applications").await;
    read(SENIOR, &case.path("/clock")).await;
    read(AUDITOR, "/v1/audit/events?kind=accepted").await;
    read(AUDITOR, "/v1/audit/events?kind=none").await;
    read(AUDITOR, &format!("/v1/audit/events?application={}", case.id)).await;
    publish(app).await;
    read(AUDITOR, "/v1/audit/export?format=csv&kind=accepted").await;
    read(AUDITOR, "/v1/audit/export?format=csv&kind=none").await;
    read(AUDITOR, "/v1/audit/export?format=csv&unit=78").await;
    read(AUDITOR, "/v1/audit/export?format=csv&to=2026-03-02T05:59:00Z").await;
    read(AUDITOR, &format!("/v1/audit/export?format=csv&application={}", other.id)).await;
    case
}

#[actix_web::test]
async fn who_saw_a_file_is_told_whole_for_every_way_of_seeing_it() {
    let app = TestApp::spawn().await;
    let case = seen_by_all(&app).await;
    let path = format!("/v1/audit/accesses?application={}", case.id);
    app.advance(TimeDelta::minutes(1));
    let expected = [
        "auditor logExported - audit",
        "auditor logQueried 77 audit",
        "auditor logQueried - audit",
        "senior clockRead 77 supervision",
        "other-officer queueRead 77 casework",
        "other-officer documentRead 77 casework",
        "officer applicationRead 77 casework",
        "officer accepted 77 casework",
    ];
    let expected = expected.map(|line| line.replace("logQueried 77", "logQueried -"));
    // The page that asks is the next one's news.
    for limit in [2, 3, 50] {
        let accesses = follow(&app, AUDITOR, &path, limit).await;
        let own = accesses.iter().take_while(|one| one["fields"] == json!(["accesses"])).count();
        assert_eq!(told(&accesses[own..]), expected, "{limit}");
        app.advance(TimeDelta::minutes(1));
    }
    let accesses = follow(&app, AUDITOR, &path, 50).await;
    let document = accesses.iter().find(|one| one["kind"] == "documentRead").unwrap();
    assert_eq!(document["document"], "passport");
    assert_eq!(document["actor"], json!(OTHER_OFFICER.id()));
    let queue = accesses.iter().find(|one| one["kind"] == "queueRead").unwrap();
    assert_eq!(
        (&queue["queue"], &queue["fields"]),
        (&json!("checks"), &json!(["summary", "personName", "lastNote", "openChecks"]))
    );
    let whole = accesses.iter().find(|one| one["kind"] == "applicationRead").unwrap();
    let fields = json!(["summary", "form", "documents", "checks", "charges"]);
    assert_eq!(whole["fields"], fields);

    let narrowed = async |query: &str| {
        let found = follow(&app, AUDITOR, &format!("{path}&{query}"), 50).await;
        told(&found).into_iter().filter(|line| !line.starts_with("auditor")).collect::<Vec<_>>()
    };
    assert_eq!(narrowed(&format!("actor={}", OTHER_OFFICER.id())).await, expected[4..6]);
    assert_eq!(narrowed("purpose=supervision").await, expected[3..4]);
    assert_eq!(narrowed("purpose=court").await, [""; 0]);
    let at = document["at"].as_str().unwrap();
    assert_eq!(narrowed(&format!("from={at}")).await, expected[3..6]);
    assert_eq!(narrowed(&format!("to={at}")).await, expected[6..]);
    let reply = app.get("/v1/audit/accesses").by(AUDITOR).send().await.expect(400);
    assert_eq!(reply.errors(), ["application required"]);
    for person in [MIGRANT, OFFICER, SENIOR, ADMINISTRATOR] {
        app.get(&path).by(person).send().await.expect(403);
    }
}

#[actix_web::test]
async fn an_applicant_sees_who_read_his_file_without_names() {
    let app = TestApp::spawn().await;
    let case = seen_by_all(&app).await;
    let path = format!("{}?", case.path("/accesses"));
    let accesses = follow(&app, MIGRANT, &path, 3).await;
    let lines: Vec<String> = accesses
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap_or("-");
            format!("{} {} {} {}", text("role"), text("kind"), text("unit"), text("purpose"))
        })
        .collect();
    assert_eq!(
        lines,
        [
            "auditor logExported - audit",
            "auditor logQueried - audit",
            "auditor logQueried - audit",
            "seniorOfficer clockRead 77 supervision",
            "officer queueRead 77 casework",
            "officer documentRead 77 casework",
            "officer applicationRead 77 casework",
            "officer accepted 77 casework",
        ]
    );
    for access in &accesses {
        assert!(access["at"].is_string() && access["fields"].is_array(), "{access}");
        assert!(access.get("actor").is_none() && access.get("name").is_none(), "{access}");
    }
    let text = serde_json::to_string(&accesses).unwrap();
    assert!(!text.contains(&OFFICER.id().to_string()));
    for stranger in [OTHER_MIGRANT, EMPLOYER] {
        app.get(&case.path("/accesses")).by(stranger).send().await.expect(404);
    }
    let untouched = app.open(MIGRANT, "patent", json!({})).await;
    let reply = app.get(&untouched.path("/accesses")).by(MIGRANT).send().await.expect(200);
    assert_eq!(reply.json(), json!({ "items": [] }));
}

// ── The log as a file ─────────────────────────────────────────────────────────────────────────────────────

/// The lines before the manifest, and the manifest; its digest fits.
async fn export(app: &TestApp, query: &str) -> (Vec<String>, Value) {
    let path = format!("/v1/audit/export?{query}");
    let text = app.get(&path).by(AUDITOR).send().await.expect(200).text();
    let end = text[..text.len() - 1].rfind('\n').map_or(0, |at| at + 1);
    let (file, last) = text.split_at(end);
    let last = last.strip_prefix("# ").unwrap_or(last);
    let manifest = serde_json::from_str::<Value>(last).unwrap()["manifest"].clone();
    let digest: String =
        Sha256::digest(file.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(manifest["sha256"], digest.as_str(), "{query}");
    assert!(manifest["exportedAt"].is_string());
    let mut unsigned = manifest.clone();
    unsigned.as_object_mut().unwrap().remove("signature");
    assert_eq!(signed(app, &manifest), unsigned, "{query}");
    (file.lines().map(str::to_owned).collect(), manifest)
}

fn numbers(lines: &[String]) -> Vec<i64> {
    let number = |line: &String| serde_json::from_str::<Value>(line).unwrap()["index"].as_i64();
    lines.iter().map(|line| number(line).unwrap()).collect()
}

#[actix_web::test]
async fn an_export_is_the_published_log_in_the_order_of_its_leaves() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let size = publish(&app).await;
    app.open(EMPLOYER, "patent", json!({})).await;
    let (lines, manifest) = export(&app, "format=ndjson").await;
    assert_eq!(
        numbers(&lines),
        (0..size).collect::<Vec<_>>(),
        "what has no number yet is not in it"
    );
    let root = "SELECT root FROM log_checkpoints ORDER BY id DESC LIMIT 1";
    let root = app.sql().await.query_one(root, &[]).await.unwrap();
    let root = STANDARD.encode(root.get::<_, &[u8]>(0));
    for (name, value) in [
        ("format", json!("ndjson")),
        ("filter", json!({})),
        ("firstIndex", json!(0)),
        ("lastIndex", json!(size - 1)),
        ("count", json!(size)),
        ("treeSize", json!(size)),
        ("root", json!(root)),
    ] {
        assert_eq!(manifest[name], value, "{name}");
    }
    // Line by line what the log shows.
    let listed = events(&app, &format!("application={}", case.id)).await;
    let (lines, manifest) = export(&app, &format!("format=ndjson&application={}", case.id)).await;
    let mut exported: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    exported.sort_by_key(|event| std::cmp::Reverse(event["id"].as_str().unwrap().to_owned()));
    assert_eq!(exported, listed);
    assert_eq!(manifest["filter"], json!({ "application": case.id }));
    assert_eq!(manifest["count"], lines.len());

    let (lines, manifest) = export(&app, "format=ndjson&kind=none").await;
    assert_eq!((lines.len(), &manifest["count"]), (0, &json!(0)));
    assert!(manifest.get("firstIndex").is_none() && manifest.get("lastIndex").is_none());
    assert_eq!(manifest["treeSize"], size);
}

#[actix_web::test]
async fn an_export_in_csv_is_a_table_with_the_manifest_as_a_remark() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let size = publish(&app).await;
    let path = "/v1/audit/export?format=csv";
    let reply = app.get(path).by(AUDITOR).send().await.expect(200);
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8"));
    let name = format!("attachment; filename=\"log-{size}.csv\"");
    assert_eq!(reply.header("content-disposition"), Some(name.as_str()));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.text().lines().next_back().unwrap().starts_with("# {\"manifest\":{"));
    let text = reply.text();
    let mut table = csv::ReaderBuilder::new().comment(Some(b'#')).from_reader(text.as_bytes());
    let names: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), usize::try_from(size).unwrap());
    let (lines, _) = export(&app, "format=ndjson").await;
    for (row, line) in rows.iter().zip(&lines) {
        let event: Value = serde_json::from_str(line).unwrap();
        for (name, cell) in names.iter().zip(row) {
            match &event[name] {
                Value::Null => assert_eq!(cell, "", "{name}"),
                Value::String(text) if name != "at" => assert_eq!(cell, text, "{name}"),
                Value::Number(number) => assert_eq!(cell, number.to_string(), "{name}"),
                object @ Value::Object(_) => {
                    assert_eq!(&serde_json::from_str::<Value>(cell).unwrap(), object);
                }
                _ => {}
            }
        }
    }
    assert!(rows.iter().any(|row| row.iter().any(|cell| cell == case.id)));
    let (_, manifest) = export(&app, "format=csv").await;
    assert_eq!((&manifest["format"], &manifest["count"]), (&json!("csv"), &json!(size)));
    for (query, error) in [("", "format required"), ("format=pdf", "format unknown-value")] {
        let reply = app.get(&format!("/v1/audit/export?{query}")).by(AUDITOR).send().await;
        assert_eq!(reply.expect(400).errors(), [error]);
    }
}

#[actix_web::test]
async fn an_export_is_recorded_before_its_first_byte() {
    let app = TestApp::spawn().await;
    app.submitted(MIGRANT).await;
    publish(&app).await;
    let sql = app.sql().await;
    sql.batch_execute("REVOKE INSERT ON events FROM propusk_service").await.unwrap();
    for format in ["ndjson", "csv"] {
        let path = format!("/v1/audit/export?format={format}");
        let reply = app.get(&path).by(AUDITOR).send().await.expect(500);
        reply.problem("internal");
    }
    sql.batch_execute("GRANT INSERT ON events TO propusk_service").await.unwrap();
    let before = app.reads().await;
    let (lines, manifest) = export(&app, "format=ndjson&kind=logExported").await;
    assert_eq!((lines.len(), app.reads().await), (0, before + 1));
    assert_eq!(manifest["filter"], json!({ "kind": "logExported" }));
}

#[actix_web::test]
async fn an_export_before_the_first_checkpoint_is_empty_and_says_so() {
    let app = TestApp::spawn().await;
    let (lines, manifest) = export(&app, "format=ndjson").await;
    assert_eq!((lines.len(), &manifest["treeSize"]), (0, &json!(0)));
    assert_eq!(manifest["root"], STANDARD.encode(Sha256::digest(b"")));
}

// ── At size ───────────────────────────────────────────────────────────────────────────────────────────────

/// Two thousand applications within twelve weeks with seven changes and twelve reads each, and three thousand reads of
/// queues: some forty thousand events over four months, numbered and analysed.
async fn fill(app: &TestApp) -> Uuid {
    let case = app.draft(MIGRANT, "patent").await;
    let sql = app.sql().await;
    let fill = "
        CREATE FUNCTION pg_temp.id_at(at timestamptz, n bigint) RETURNS uuid LANGUAGE sql AS $$
            SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
                || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid $$;
        CREATE TEMP TABLE copies AS
            SELECT n, t.created_at + n * interval '1 hour' AS at,
                pg_temp.id_at(t.created_at + n * interval '1 hour', n) AS id
            FROM applications t, generate_series(1, 2000) n WHERE t.id = '{case}';
        -- Copied whole, with what the table otherwise reckons itself.
        ALTER TABLE applications ALTER COLUMN in_turn DROP EXPRESSION, ALTER COLUMN in_turn SET DEFAULT true;
        INSERT INTO applications SELECT r.* FROM applications t, copies c, LATERAL jsonb_populate_record(t,
                jsonb_build_object('id', c.id, 'reference', 'R' || c.n, 'created_at', c.at)) r
            WHERE t.id = '{case}';
        INSERT INTO events (id, at, kind, actor_id, actor_role, unit_code, application_id, seq, track, workflow_version,
                command, from_state, to_state, content, salt, commitment, pseudonym)
            SELECT pg_temp.id_at(c.at + e.seq * interval '1 minute', c.n * 10 + e.seq),
                c.at + e.seq * interval '1 minute', e.kind, md5((c.n % 500)::text)::uuid, e.actor_role,
                (ARRAY['77', '78', '50'])[1 + c.n % 3], c.id, e.seq, e.track, e.workflow_version, e.command,
                e.from_state, e.to_state, e.content, e.salt, e.commitment, e.pseudonym
            FROM copies c, events e WHERE e.application_id = '{case}' AND e.seq IS NOT NULL;
        INSERT INTO events (id, at, kind, actor_id, actor_role, unit_code, application_id, purpose, content, salt,
                commitment, pseudonym)
            SELECT pg_temp.id_at(c.at + k * interval '70 minutes', c.n * 20 + k + 1000000),
                c.at + k * interval '70 minutes',
                (ARRAY['applicationRead', 'documentRead', 'historyRead', 'clockRead'])[1 + k % 4],
                md5('o' || (c.n + k) % 60)::uuid, CASE WHEN k = 7 THEN 'seniorOfficer' ELSE 'officer' END,
                (ARRAY['77', '78', '50'])[1 + c.n % 3], c.id,
                CASE WHEN (c.n + k) % 400 = 0 THEN 'court' ELSE 'casework' END,
                '{}', sha256('salt'), sha256('x'), substr(sha256('p'), 1, 16)
            FROM copies c, generate_series(1, 12) k;
        INSERT INTO events (id, at, kind, actor_id, actor_role, unit_code, purpose, subjects, content, salt, commitment)
            SELECT pg_temp.id_at(c.at + k * interval '20 minutes', c.n * 30 + k + 9000000),
                c.at + k * interval '20 minutes', 'queueRead', md5('o' || (c.n + k) % 60)::uuid, 'officer', '77',
                'casework', (SELECT array_agg(s.id) FROM copies s WHERE s.n BETWEEN c.n - 9 AND c.n),
                '{}', sha256('salt'), sha256('x')
            FROM copies c, generate_series(1, 3) k WHERE c.n % 2 = 0;";
    sql.batch_execute(&fill.replace("{case}", &case.id)).await.unwrap();
    publish(app).await;
    sql.batch_execute("ANALYZE").await.unwrap();
    one_id(&sql, "SELECT id::text FROM copies WHERE n = 1000").await
}

async fn one_id(sql: &tokio_postgres::Client, select: &str) -> Uuid {
    sql.query_one(select, &[]).await.unwrap().get::<_, &str>(0).parse().unwrap()
}

/// The months that hold events, and of these the ones that hold events of a time.
async fn months(app: &TestApp, from: DateTime<Utc>, to: DateTime<Utc>) -> [BTreeSet<String>; 2] {
    let select = "SELECT relname::text, bool_or(at >= $1::text::timestamptz AND at < $2::text::timestamptz) \
                  FROM events JOIN pg_class c ON c.oid = events.tableoid GROUP BY 1";
    let rows = app.sql().await;
    let rows = rows.query(select, &[&from.to_rfc3339(), &to.to_rfc3339()]).await.unwrap();
    let all = rows.iter().map(|row| row.get(0)).collect();
    [all, rows.iter().filter(|row| row.get(1)).map(|row| row.get(0)).collect()]
}

fn names<'a>(plan: &'a [String], months: &'a BTreeSet<String>) -> BTreeSet<&'a str> {
    let named = |month: &&String| plan.iter().any(|line| line.contains(month.as_str()));
    months.iter().filter(named).map(String::as_str).collect()
}

#[actix_web::test]
async fn every_question_is_answered_by_an_index_in_the_months_that_can_answer() {
    let app = TestApp::spawn().await;
    let id = fill(&app).await;
    let (from, to) = (app.now() + TimeDelta::days(70), app.now() + TimeDelta::days(75));
    let [filled, within] = months(&app, from, to).await;
    let actor = one_id(&app.sql().await, "SELECT md5('o7')::uuid::text").await;
    let text = |value: &str| Some(value.to_owned());
    let none = Filter::default();
    let single = [
        none.clone(),
        Filter { application: Some(id), ..none.clone() },
        Filter { actor: Some(actor), ..none.clone() },
        Filter { kind: text("clockRead"), ..none.clone() },
        Filter { kind: text("opened"), ..none.clone() },
        Filter { kind: text("accountAdded"), ..none.clone() },
        Filter { unit: text("78"), ..none.clone() },
        Filter { unit: text("99"), ..none.clone() },
        Filter { role: text("officer"), ..none.clone() },
        Filter { role: text("operator"), ..none.clone() },
        Filter { purpose: text("casework"), ..none.clone() },
        Filter { purpose: text("court"), ..none.clone() },
        Filter { only: Some(Only::Changes), ..none.clone() },
        Filter { only: Some(Only::Reads), ..none.clone() },
    ];
    let mut conn = app.app.db.conn().await.unwrap();
    let mut checked = 0;
    for filter in single {
        let timed = Filter { from: Some(from), to: Some(to), ..filter.clone() };
        for (filter, fitting) in [(filter, &filled), (timed, &within)] {
            let questions =
                [Question::Events(&filter), Question::Export(&filter, (20_000, 20_500))];
            for question in questions {
                let plan = audit::explain(&mut conn, question).await.unwrap();
                let scanned: Vec<&String> = plan
                    .iter()
                    .filter(|line| line.contains("Seq Scan on"))
                    .filter(|line| {
                        line.contains("log_leaves")
                            || filled.iter().any(|month| line.contains(month.as_str()))
                    })
                    .collect();
                assert!(scanned.is_empty(), "{filter:?}: {scanned:?}\n{}", plan.join("\n"));
                let named = names(&plan, &filled);
                let fitting: BTreeSet<&str> = fitting.iter().map(String::as_str).collect();
                assert!(named.is_subset(&fitting), "{filter:?}\n{}", plan.join("\n"));
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 56);
    for access in [
        Access { application: id, ..Access::default() },
        Access { application: id, actor: Some(actor), ..Access::default() },
        Access { application: id, purpose: text("court"), ..Access::default() },
        Access { application: id, from: Some(from), to: Some(to), ..Access::default() },
    ] {
        let plan = audit::explain(&mut conn, Question::Accesses(&access)).await.unwrap();
        let scanned = |line: &&String| line.contains("Seq Scan on") && !line.contains("accounts");
        let scanned: Vec<&String> = plan.iter().filter(scanned).collect();
        let filled = |line: &&&String| filled.iter().any(|month| line.contains(month.as_str()));
        assert!(!scanned.iter().any(|line| filled(&line)), "{access:?}\n{}", plan.join("\n"));
    }
}

#[actix_web::test]
async fn a_long_export_comes_in_pieces_and_is_whole_under_every_filter() {
    let app = TestApp::spawn().await;
    let id = fill(&app).await;
    let sql = app.sql().await;
    let (from, to) = (app.now() + TimeDelta::days(70), app.now() + TimeDelta::days(75));
    let times = format!("from={}&to={}", from.format("%FT%TZ"), to.format("%FT%TZ"));
    let size: i64 = sql.query_one("SELECT count(*) FROM log_leaves", &[]).await.unwrap().get(0);
    assert!(size > 40_000, "more than two windows: {size}");
    for (query, condition) in [
        (String::new(), "true".to_owned()),
        (format!("&application={id}"), format!("application_id = '{id}'")),
        ("&kind=queueRead".to_owned(), "kind = 'queueRead'".to_owned()),
        ("&purpose=court".to_owned(), "purpose = 'court'".to_owned()),
        (
            format!("&{times}"),
            format!("at >= '{}' AND at < '{}'", from.to_rfc3339(), to.to_rfc3339()),
        ),
        (
            format!("&{times}&unit=50"),
            format!(
                "unit_code = '50' AND at >= '{}' AND at < '{}'",
                from.to_rfc3339(),
                to.to_rfc3339()
            ),
        ),
    ] {
        let (lines, manifest) = export(&app, &format!("format=ndjson{query}")).await;
        let select = format!(
            "SELECT index FROM log_leaves JOIN events ON id = event_id WHERE {condition} AND index < {size} \
             ORDER BY index"
        );
        let expected: Vec<i64> =
            sql.query(&select, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        assert!(!expected.is_empty(), "{query}");
        assert_eq!(numbers(&lines), expected, "{query}");
        assert_eq!(manifest["count"], expected.len(), "{query}");
        assert_eq!(manifest["lastIndex"], *expected.last().unwrap(), "{query}");
    }
}
