//! Papers: a permit and the letters of decisions, read by programs that have nothing to do with ours.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use chrono::TimeDelta;
use propusk::casework::erasure::{Reason, Whose};
use propusk::domain::event::Job;
use propusk::domain::ground::GroundCode;
use propusk::domain::paper::PaperKind;
use propusk::error::ErrorCode;
use propusk::permits::keys::PublishedKeys;
use propusk::permits::statement;
use propusk::worker::papers::{PapersHandler, Press};
use propusk::worker::{Handler as _, Outcome, Task};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::app::{
    AUDITOR, MIGRANT, OFFICER, OTHER_MIGRANT, OTHER_OFFICER, PETERSBURG_OFFICER, Person, Reply,
    SENIOR, TestApp,
};
use crate::support::db::test_dir;
use crate::support::drive::{Case, PDF, fresh, portrait};

const RUSSIAN: &str = include_str!("../../src/papers/texts/ru.ftl");
const ENGLISH: &str = include_str!("../../src/papers/texts/en.ftl");

/// A text of a paper, as its file says it.
fn wording(file: &'static str, key: &str) -> &'static str {
    let mut lines = file.lines().filter_map(|line| line.split_once(" = "));
    lines.find(|(known, _)| *known == key).unwrap_or_else(|| panic!("no text {key}")).1
}

fn both(key: &str) -> String {
    format!("{} / {}", wording(RUSSIAN, key), wording(ENGLISH, key))
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn keep(name: &str, bytes: &[u8]) -> PathBuf {
    let folder = test_dir(&format!("papers-{name}-{}", fresh()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("paper.pdf");
    fs::write(&path, bytes).unwrap();
    path
}

fn run(program: &str, command: &mut Command) -> Vec<u8> {
    let output = command.output();
    let output = output.unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}); .ci/setup tests installs it")
    });
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The words of a PDF, with one space between them.
fn words(name: &str, pdf: &[u8]) -> String {
    let path = keep(name, pdf);
    let mut command = Command::new("pdftotext");
    let text = run("pdftotext", command.args(["-raw", "-enc", "UTF-8"]).arg(path).arg("-"));
    squeezed(&String::from_utf8(text).unwrap())
}

/// The text of the QR on the first page, as a stranger's decoder reads it.
fn code(name: &str, pdf: &[u8]) -> String {
    let path = keep(name, pdf);
    let picture = path.with_extension("");
    let mut command = Command::new("pdftoppm");
    let command = command.args(["-r", "200", "-f", "1", "-l", "1", "-gray", "-png", "-singlefile"]);
    run("pdftoppm", command.arg(&path).arg(&picture));
    let mut command = Command::new("zbarimg");
    let command = command.args(["--quiet", "--raw"]).arg(picture.with_extension("png"));
    String::from_utf8(run("zbarimg", command)).unwrap().trim_end().to_owned()
}

impl TestApp {
    /// As [`TestApp::in_force`], with a form of its own.
    async fn in_force_with(&self, form: Value) -> Case {
        let case = self.draft_with(MIGRANT, "patent", form).await;
        self.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
        self.pay(&case.id).await;
        self.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
        self.clear(&case.id).await;
        self.command(OTHER_OFFICER, &case.id, json!({ "command": "grant" })).await.expect(200);
        self.pay(&case.id).await;
        self.command(OFFICER, &case.id, json!({ "command": "handOver" })).await.expect(200);
        case
    }

    fn english_form(&self) -> Value {
        let mut form = self.form();
        form["contact"]["language"] = json!("en");
        form["person"]["inn"] = json!("500100732259");
        form
    }

    async fn papers(&self, case: &Case) -> Vec<Value> {
        let call = self.get(&case.path("/papers")).by(case.applicant);
        call.send().await.expect(200).json()["items"].as_array().unwrap().clone()
    }

    async fn paper(&self, case: &Case, paper: &Value, reader: Person) -> Reply {
        let path = case.path(&format!("/papers/{}", paper["paper"].as_str().unwrap()));
        self.get(&path).by(reader).send().await
    }

    /// The only paper of an application after everything due is done.
    async fn letter(&self, case: &Case) -> String {
        self.drain().await;
        let papers = self.papers(case).await;
        let newest = papers.iter().find(|one| one["kind"] == "decision").unwrap();
        words("letter", &self.paper(case, newest, MIGRANT).await.expect(200).body)
    }
}

#[track_caller]
fn holds(text: &str, part: &str) {
    assert!(text.contains(&squeezed(part)), "{part:?} is not in: {text}");
}

#[actix_web::test]
async fn a_permit_shows_every_field_in_two_languages_and_its_code_proves_it() {
    let app = TestApp::spawn().await;
    let case = app.in_force_with(app.english_form()).await;
    assert_eq!(app.papers(&case).await, Vec::<Value>::new(), "nobody has printed anything yet");
    app.drain().await;
    let papers = app.papers(&case).await;
    let kinds: Vec<&Value> = papers.iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["permit", "decision"]);
    assert!(papers.iter().all(|one| one["current"] == true));
    let reply = app.paper(&case, &papers[0], MIGRANT).await.expect(200);
    let seen = app.see(&case.id).await;
    let permit = &seen["permit"];
    let number = permit["number"].as_str().unwrap();

    let text = words("permit", &reply.body);
    for key in [
        "country",
        "permit-number",
        "permit-name",
        "permit-name-latin",
        "permit-birth-date",
        "permit-citizenship",
        "permit-passport",
        "permit-profession",
        "permit-inn",
        "permit-territory",
        "permit-unit",
        "permit-issued-on",
        "permit-paid-through",
        "permit-prolonged",
        "permit-ends-on",
        "permit-issued-by",
        "permit-reference",
    ] {
        holds(&text, &both(key));
    }
    let value =
        |key: &str, value: &str| holds(&text, &format!("{} {value}", wording(ENGLISH, key)));
    value("permit-number", &number.replace('-', " "));
    value("permit-name", "Каримов Рустам Алишерович");
    value("permit-name-latin", "KARIMOV RUSTAM ALISHEROVICH");
    value("permit-birth-date", "17.05.1990");
    value("permit-citizenship", "UZB");
    value("permit-passport", seen["form"]["passport"]["number"].as_str().unwrap());
    value("permit-profession", "Каменщик (7112)");
    value("permit-inn", "500100732259");
    value("permit-territory", "77");
    value("permit-unit", "Moscow");
    value("permit-issued-on", "02.03.2026");
    value("permit-paid-through", "02.04.2026");
    value("permit-ends-on", "02.03.2027");
    value("permit-issued-by", OFFICER.name);
    value("permit-reference", &case.reference);
    holds(&text, "Патент на работу");
    holds(&text, "Patent for work");
    assert!(
        !text.contains(wording(RUSSIAN, "permit-employer")),
        "a patent is bound to no employer"
    );
    // The address breaks where it must.
    let address = format!("{}/v1/permits/{number}", app.app.public_url);
    assert!(text.replace(' ', "").contains(&address), "{text}");

    let call = app.get(&case.path("/permit/qr")).by(MIGRANT).header("accept", "application/jwt");
    let token = code("code", &reply.body);
    assert_eq!(token, call.send().await.expect(200).text());
    let keys = app.get("/.well-known/jwks.json").send().await.expect(200).text();
    let keys = PublishedKeys::parse(&keys).unwrap();
    let proven = statement::verify(&token, &keys, app.now()).unwrap();
    assert_eq!(proven.statement.num.as_str(), number);

    // The photograph is in it: a picture of the size that was handed in.
    let path = keep("picture", &reply.body);
    let pictures = run("pdfimages", Command::new("pdfimages").arg("-list").arg(path));
    holds(&squeezed(&String::from_utf8(pictures).unwrap()), "image 90 120");
}

#[actix_web::test]
async fn a_paper_is_for_its_people_its_reading_is_recorded_and_it_is_fetched_once() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    app.drain().await;
    let paper = app.papers(&case).await[0].clone();
    let reply = app.paper(&case, &paper, MIGRANT).await.expect(200);
    let number = app.see(&case.id).await["permit"]["number"].as_str().unwrap().to_owned();
    assert_eq!(reply.header("content-type"), Some("application/pdf"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let file = format!("attachment; filename=\"permit-{number}.pdf\"");
    assert_eq!(reply.header("content-disposition"), Some(&*file));
    let digest: String = Sha256::digest(&reply.body).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!((&paper["sha256"], &paper["sizeBytes"]), (&json!(digest), &json!(reply.body.len())));
    let etag = reply.header("etag").unwrap();
    assert_eq!(etag, format!("\"{digest}\""));
    let path = case.path(&format!("/papers/{}", paper["paper"].as_str().unwrap()));
    let same = app.get(&path).by(MIGRANT).header("if-none-match", etag).send().await.expect(304);
    assert!(same.body.is_empty());

    for reader in [OFFICER, SENIOR, AUDITOR] {
        let reads = app.reads().await;
        assert_eq!(app.paper(&case, &paper, reader).await.expect(200).body, reply.body);
        assert_eq!(app.reads().await, reads + 1, "{}", reader.name);
    }
    for stranger in [OTHER_MIGRANT, PETERSBURG_OFFICER] {
        app.paper(&case, &paper, stranger).await.expect(404);
        app.get(&case.path("/papers")).by(stranger).send().await.expect(404);
    }
    let unknown = json!({ "paper": "permit-1" });
    app.paper(&case, &unknown, MIGRANT).await.expect(404).problem("not-found");
    let accesses = app.get(&case.path("/accesses")).by(MIGRANT).send().await.expect(200).json();
    let accesses = accesses["items"].as_array().unwrap();
    let read = accesses.iter().find(|one| one["kind"] == "paperRead").unwrap();
    assert_eq!(read["document"], paper["paper"]);
}

#[actix_web::test]
async fn two_workers_print_the_same_bytes_and_later_ones_too_and_one_is_kept() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    app.drain().await;
    let paper = app.papers(&case).await[0].clone();
    let sql = app.sql().await;
    sql.execute("DELETE FROM papers WHERE kind = 'permit'", &[]).await.unwrap();
    app.advance(TimeDelta::days(20));
    // What has changed since is another paper's business.
    app.app.blobs.put(b"unrelated".to_vec()).await.unwrap();
    let press = || Press {
        db: app.app.db.clone(),
        clock: app.clock.clone(),
        casework: app.app.casework.clone(),
        blobs: app.app.blobs.clone(),
        keys: app.app.permit_keys.clone(),
        public_url: app.app.public_url.clone(),
    };
    let job = Job::MakePaper {
        application: case.id.parse().unwrap(),
        paper: PaperKind::Permit,
        event: paper["event"].as_str().unwrap().parse().unwrap(),
    };
    let task = Task { key: job.key(), job, attempt: 1, last: false };
    let [one, other] = [press(), press()].map(|press| PapersHandler::new(press).unwrap());
    let (first, second) = tokio::join!(one.run(&task), other.run(&task));
    assert_eq!((first, second), (Outcome::Done, Outcome::Done));
    assert_eq!(one.run(&task).await, Outcome::Done, "a job that runs again does nothing");
    let again = app.papers(&case).await;
    assert_eq!(again.len(), 2);
    assert_eq!(again[0]["sha256"], paper["sha256"]);
    app.paper(&case, &again[0], MIGRANT).await.expect(200);
}

#[actix_web::test]
async fn what_the_permit_shows_is_printed_anew_when_it_is_put_right_and_nothing_else_is() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    app.drain().await;
    let before = app.papers(&case).await;
    let form = app.see(&case.id).await["form"].clone();
    let correct = async |section: &str, value: &Value| {
        let command = json!({ "command": "correct", "reason": "A letter was lost.",
            "form": { section: value } });
        app.command(SENIOR, &case.id, command).await.expect(200);
        app.drain().await;
        app.papers(&case).await
    };
    let mut contact = form["contact"].clone();
    contact["phone"] = json!("+79035551234");
    assert_eq!(correct("contact", &contact).await, before);
    let mut person = form["person"].clone();
    person["familyName"] =
        json!("Каримзода-Самаркандский-Бухарский-Ферганский-Хорезмский-Ташкентский");
    let after = correct("person", &person).await;
    assert_eq!(after.len(), 3);
    let current: Vec<bool> = after.iter().map(|one| one["current"] == true).collect();
    assert_eq!(current, [true, false, true], "{after:?}");
    let text = words("corrected", &app.paper(&case, &after[0], MIGRANT).await.expect(200).body);
    // A name that is wider than its place goes on in the next line.
    let name = format!("{}РустамАлишерович", person["familyName"].as_str().unwrap());
    assert!(text.replace(' ', "").contains(&name), "{text}");
    holds(&text, "KARIMZODA-SAMARKANDSKII-");
    // The earlier one says what it said.
    let text = words("earlier", &app.paper(&case, &after[1], MIGRANT).await.expect(200).body);
    holds(&text, "Каримов Рустам Алишерович");
    // Another month paid prints nothing: the permit says so itself.
    app.advance(TimeDelta::days(1));
    app.drain().await;
    assert_eq!(app.papers(&case).await.len(), 3);
}

/// What every letter has.
fn is_whole(text: &str, case: &Case, app: &TestApp, decided: &str, by: Person) {
    for key in ["letter-title", "letter-number", "letter-date", "letter-to", "letter-track"] {
        holds(text, &both(key));
    }
    for key in ["letter-decision", "letter-basis", "letter-complaint", "letter-decided-by"] {
        holds(text, &both(key));
    }
    holds(text, &format!("Moscow {}", both("letter-title")));
    holds(text, &format!("{} {}", wording(ENGLISH, "letter-number"), case.reference));
    let on = app.today().format("%d.%m.%Y");
    holds(text, &format!("{} {on}", wording(ENGLISH, "letter-date")));
    holds(text, &format!("{} Каримов Рустам Алишерович", wording(ENGLISH, "letter-to")));
    holds(text, "Патент на работу / Patent for work");
    holds(text, &format!("{} {}", wording(RUSSIAN, decided), wording(ENGLISH, decided)));
    holds(text, &format!("{} {}", both("letter-decided-by"), by.name));
    let link = format!("{}/v1/status/{}", app.app.public_url, case.reference);
    for file in [RUSSIAN, ENGLISH] {
        let how = wording(file, "letter-complain").replace("{ $reference }", &case.reference);
        let how = how.replace("{ $link }", &link).replace(' ', "");
        assert!(text.replace(' ', "").contains(&how), "{how} is not in: {text}");
    }
}

fn has_grounds(text: &str, app: &TestApp, code: &str) {
    holds(text, &both("letter-grounds"));
    let rules = app.app.casework.rules();
    let code = GroundCode::parse(code).unwrap();
    let wording = |language| rules.grounds.wording(&code, language).unwrap();
    holds(text, &format!("{code}: {} {}", wording("ru"), wording("en")));
}

fn has_next(text: &str, app: &TestApp, state: &str) {
    let rules = app.app.casework.rules();
    let definition = rules.current("patent", app.today()).unwrap();
    let next = |language| &definition.state(state).unwrap().wording[language].next;
    holds(text, &format!("{} {} {}", both("letter-next"), next("ru"), next("en")));
}

#[actix_web::test]
async fn a_refusal_is_told_with_its_law_grounds_reason_and_how_to_complain() {
    let app = TestApp::spawn().await;
    let case = app.draft_with(MIGRANT, "patent", app.english_form()).await;
    app.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
    app.pay(&case.id).await;
    app.command(OFFICER, &case.id, json!({ "command": "accept" })).await.expect(200);
    let reason = "Справка № 15 выдана организацией, которой нет в реестре.";
    let refuse = json!({ "command": "refuse", "grounds": ["G04"], "reason": reason });
    app.command(OTHER_OFFICER, &case.id, refuse).await.expect(200);
    let text = app.letter(&case).await;
    is_whole(&text, &case, &app, "letter-refused", OTHER_OFFICER);
    has_grounds(&text, &app, "G04");
    has_next(&text, &app, "refused");
    holds(&text, &format!("{} {reason}", both("letter-reason")));
    let rules = app.app.casework.rules();
    let definition = rules.current("patent", app.today()).unwrap();
    let basis = definition.transitions.iter().find(|one| one.command.name() == "refuse").unwrap();
    holds(&text, &format!("{} {}", both("letter-basis"), basis.basis));
    // Once it is withdrawn the letter stays, and says so.
    let undo = json!({ "command": "undo", "reason": "Meant for a namesake." });
    app.command(SENIOR, &case.id, undo).await.expect(200);
    assert_eq!(app.papers(&case).await[0]["current"], false);
}

#[actix_web::test]
async fn a_grant_a_refusal_of_intake_and_an_annulment_are_told_too() {
    let app = TestApp::spawn().await;
    let case = app.in_force_with(app.english_form()).await;
    let text = app.letter(&case).await;
    is_whole(&text, &case, &app, "letter-granted", OTHER_OFFICER);
    has_next(&text, &app, "awaitingPayment");
    assert!(!text.contains(wording(RUSSIAN, "letter-grounds")));

    let propose =
        json!({ "command": "proposeAnnulment", "grounds": ["G90"], "reason": "His own wish." });
    app.command(OFFICER, &case.id, propose).await.expect(200);
    app.command(SENIOR, &case.id, json!({ "command": "confirmAnnulment" })).await.expect(200);
    let text = app.letter(&case).await;
    is_whole(&text, &case, &app, "letter-annulled", SENIOR);
    has_grounds(&text, &app, "G90");
    has_next(&text, &app, "annulled");
    holds(&text, "His own wish.");
    let number = app.see(&case.id).await["permit"]["number"].as_str().unwrap().replace('-', " ");
    holds(&text, &number);

    let case = app.draft_with(MIGRANT, "patent", app.english_form()).await;
    app.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
    app.pay(&case.id).await;
    let refuse = json!({ "command": "refuseIntake", "grounds": ["I01"], "reason": "No photo." });
    app.command(OFFICER, &case.id, refuse).await.expect(200);
    let text = app.letter(&case).await;
    is_whole(&text, &case, &app, "letter-intake-refused", OFFICER);
    has_grounds(&text, &app, "I01");
    holds(&text, "No photo.");
}

#[actix_web::test]
async fn a_holder_who_reads_russian_gets_his_papers_in_russian_alone() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    app.drain().await;
    for paper in app.papers(&case).await {
        let text = words("russian", &app.paper(&case, &paper, MIGRANT).await.expect(200).body);
        holds(&text, "Каримов Рустам Алишерович");
        for key in ["country", "permit-name", "letter-title"] {
            assert!(!text.contains(wording(ENGLISH, key)), "{text}");
        }
    }
}

#[actix_web::test]
async fn with_a_person_s_data_go_his_papers() {
    let app = TestApp::spawn().await;
    let case = app.submitted(MIGRANT).await;
    let refuse = json!({ "command": "refuseIntake", "grounds": ["I01"], "reason": "No photo." });
    app.command(OFFICER, &case.id, refuse).await.expect(200);
    app.drain().await;
    let paper = app.papers(&case).await[0].clone();
    let digest = paper["sha256"].as_str().unwrap();
    app.app.blobs.get(digest).await.unwrap();
    app.advance(TimeDelta::days(4000));
    let reason = Reason::Request { basis: "order 12-3 of the archive", role: "operator" };
    let id = case.id.parse().unwrap();
    app.app.casework.erase(Whose::Application(id), reason).await.unwrap();
    let left: i64 =
        app.sql().await.query_one("SELECT count(*) FROM papers", &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
    app.drain().await;
    assert_eq!(app.app.blobs.get(digest).await.unwrap_err().code(), ErrorCode::NotFound);
    // A job that comes too late prints nothing.
    let event = paper["event"].as_str().unwrap().parse().unwrap();
    let job = Job::MakePaper { application: id, paper: PaperKind::Decision, event };
    let task = Task { key: job.key(), job, attempt: 1, last: false };
    let press = Press {
        db: app.app.db.clone(),
        clock: app.clock.clone(),
        casework: app.app.casework.clone(),
        blobs: app.app.blobs.clone(),
        keys: app.app.permit_keys.clone(),
        public_url: app.app.public_url.clone(),
    };
    assert_eq!(PapersHandler::new(press).unwrap().run(&task).await, Outcome::Done);
    app.get(&case.path("/papers")).by(AUDITOR).send().await.expect(404);
    assert_eq!(app.app.blobs.get(digest).await.unwrap_err().code(), ErrorCode::NotFound);
}

#[actix_web::test]
async fn a_photograph_is_a_picture_and_nothing_else_is_taken_for_one() {
    let app = TestApp::spawn().await;
    let case = app.open(MIGRANT, "patent", app.form()).await;
    let before = app.written().await;
    let version = app.version(&case.id).await;
    let put = async |media_type: &str, bytes: Vec<u8>| {
        let call = app.put(&case.path("/documents/photo")).by(MIGRANT).if_match(version);
        call.body(media_type, bytes).send().await
    };
    let mut hollow = portrait();
    let data = hollow.windows(4).position(|four| four == b"IDAT").unwrap();
    hollow[data + 6..data + 12].fill(0);
    let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\xd2\xff\xd9";
    for (media_type, bytes, code) in [
        ("application/pdf", PDF.to_vec(), "photo-not-an-image"),
        ("image/png", hollow, "photo-damaged"),
        ("image/jpeg", jpeg.to_vec(), "photo-damaged"),
    ] {
        let problem = put(media_type, bytes).await.expect(422).problem("rule-refused");
        assert_eq!(problem["errors"][0]["code"], code);
    }
    assert_eq!(app.written().await, before);
    put("image/png", portrait()).await.expect(200);
}
