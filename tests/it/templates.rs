//! Words to begin with: which there are, what is filled in for a case, and what is not.

use serde_json::{Value, json};

use crate::support::app::{
    MIGRANT, OFFICER, OTHER_OFFICER, PETERSBURG_OFFICER, Person, Reply, SENIOR, TestApp,
};
use crate::support::drive::Case;

impl TestApp {
    async fn preview(&self, who: Person, case: &Case, body: Value) -> Reply {
        self.post(&case.path("/preview")).by(who).json(body).send().await
    }
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn templates_are_listed_by_track_and_command_in_the_officers_language() {
    let app = TestApp::spawn().await;
    let list = async |query: &str| {
        let call = app.get(&format!("/v1/templates{query}")).by(OFFICER);
        call.header("accept-language", "ru").send().await.expect(200).json()
    };
    let all = list("").await;
    assert_eq!(ids(&all).len(), 7);
    let refusals = list("?track=patent&command=refuse").await;
    assert_eq!(ids(&refusals), ["refusal", "refusal-after-checks"]);
    assert_eq!(refusals["items"][0]["title"], "Отказ");
    assert_eq!(
        refusals["items"][0]["placeholders"],
        json!([
            "reference",
            "personName",
            "unit",
            "today",
            "grounds",
            "free:facts",
            "free:complaintTo"
        ])
    );
    let patent = list("?track=patent&command=requestInformation").await;
    assert_eq!(ids(&patent), ["document-request", "personal-visit"]);
    let hqs = list("?track=highly-qualified-specialist&command=requestInformation").await;
    assert_eq!(ids(&hqs), ["document-request", "contract-request", "personal-visit"]);
    assert_eq!(ids(&list("?track=unheard-of").await), Vec::<&str>::new());
    let refused = app.get("/v1/templates?command=shout").by(OFFICER).send().await.expect(400);
    assert_eq!(refused.errors(), ["command unknown-value"]);
}

#[actix_web::test]
async fn a_refusal_is_written_in_the_applicants_language_and_can_be_sent_as_it_is() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let body = json!({ "template": "refusal", "grounds": ["G04"], "values": {
        "facts": "справка № {reference} не выдавалась", "complaintTo": "в суд" } });
    let version = app.version(&case.id).await;
    let shown = app.preview(OTHER_OFFICER, &case, body.clone()).await.expect(200).json();
    assert_eq!((&shown["language"], &shown["missing"]), (&json!("ru"), &json!([])));
    let text = shown["text"].as_str().unwrap();
    let today = app.today().format("%d.%m.%Y").to_string();
    for part in [&*case.reference, "Каримов Рустам Алишерович", &today, "- G04: Представлены"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("справка № {reference} не выдавалась"), "a value is no template: {text}");
    assert_eq!(app.version(&case.id).await, version, "nothing has changed");

    let english = json!({ "language": "en", "template": "refusal", "grounds": ["G04"] });
    let shown = app.preview(OFFICER, &case, english).await.expect(200).json();
    assert_eq!(shown["missing"], json!(["free:facts", "free:complaintTo"]));
    assert!(shown["text"].as_str().unwrap().contains("{free:facts}"), "{shown}");
    assert!(shown["text"].as_str().unwrap().contains("- G04: Forged documents"), "{shown}");

    let command = json!({ "command": "refuse", "grounds": ["G04"], "reason": text });
    let refused = app.command(OTHER_OFFICER, &case.id, command).await.expect(200).json();
    assert_eq!(refused["decision"]["reason"], text);
}

#[actix_web::test]
async fn whoever_reads_messages_in_english_is_written_to_in_english() {
    let app = TestApp::spawn().await;
    let mut form = app.form();
    form["contact"]["language"] = json!("en");
    let case = app.draft_with(MIGRANT, "patent", form).await;
    app.command(MIGRANT, &case.id, json!({ "command": "submit" })).await.expect(200);
    let body = json!({ "template": "intake-refusal", "grounds": ["I02"], "values": {
        "remedy": "add the photo" } });
    let shown = app.preview(OFFICER, &case, body.clone()).await.expect(200).json();
    assert_eq!((&shown["language"], &shown["missing"]), (&json!("en"), &json!([])));
    assert!(shown["text"].as_str().unwrap().starts_with("The documents of "), "{shown}");
    let mut russian = body;
    russian["language"] = json!("ru");
    let shown = app.preview(OFFICER, &case, russian).await.expect(200).json();
    assert_eq!(shown["language"], "ru");
}

#[actix_web::test]
async fn what_stands_against_a_grant_is_named_and_what_officers_noted_is_not() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    app.clear(&case.id).await;
    let body = json!({ "language": "en", "template": "refusal-after-checks", "grounds": ["G14"],
        "values": { "complaintTo": "the court" } });
    let shown = app.preview(OFFICER, &case, body.clone()).await.expect(200).json();
    assert_eq!(shown["missing"], json!(["checks"]), "no answer stands against it");
    let finding = json!({ "command": "recordFinding", "check": "entry", "outcome": "hit",
        "reason": "noEntry", "note": "says my informer" });
    app.command(OFFICER, &case.id, finding).await.expect(200);
    let shown = app.preview(OFFICER, &case, body).await.expect(200).json();
    let text = shown["text"].as_str().unwrap();
    assert_eq!(shown["missing"], json!([]));
    let line =
        "- Did the person enter legally, for work, on the date stated? There was no such entry\n";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("informer"), "{text}");
}

#[actix_web::test]
async fn what_does_not_fit_the_template_or_the_track_is_refused_with_its_pointer() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    for (body, pointer, code) in [
        (json!({ "template": "nothing" }), "/template", "unknown-template"),
        // It is for highly qualified specialists.
        (json!({ "template": "contract-request" }), "/template", "unknown-template"),
        (json!({ "template": "refusal", "grounds": ["X1"] }), "/grounds/0", "unknown-ground"),
        (
            json!({ "template": "refusal", "grounds": ["G04", "I01"] }),
            "/grounds/1",
            "ground-not-allowed",
        ),
        (
            json!({ "template": "refusal", "values": { "a/b": "x" } }),
            "/values/a~1b",
            "unknown-value",
        ),
        (
            json!({ "template": "refusal", "values": { "reference": "x" } }),
            "/values/reference",
            "unknown-value",
        ),
    ] {
        let refused = app.preview(OFFICER, &case, body.clone()).await.expect(422);
        let problem = refused.problem("rule-refused");
        let error = &problem["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!(pointer), &json!(code)), "{body}");
    }
    for (values, why) in
        [(json!({ "facts": "" }), "empty"), (json!({ "facts": "x".repeat(1001) }), "long")]
    {
        let body = json!({ "template": "refusal", "values": values });
        let refused = app.preview(OFFICER, &case, body).await.expect(400);
        assert_eq!(refused.errors(), ["/values length"], "{why}");
    }
    let body = json!({ "template": "refusal" });
    app.preview(PETERSBURG_OFFICER, &case, body.clone()).await.expect(404);
    app.preview(MIGRANT, &case, body).await.expect(403);
}

#[actix_web::test]
async fn a_preview_leaves_the_event_of_a_read_that_names_the_template_and_holds_no_word_of_it() {
    let app = TestApp::spawn().await;
    let case = app.checking(MIGRANT).await;
    let sql = app.sql().await;
    let (before, reads) = (app.written().await, app.reads().await);
    let body = json!({ "template": "refusal", "values": { "facts": "a very particular fact" } });
    app.preview(SENIOR, &case, body).await.expect(200);
    let after = app.written().await;
    assert_eq!(after[1..], before[1..], "nothing else is written");
    assert_eq!((after[0] - before[0], app.reads().await - reads), (1, 1));
    let last = "SELECT kind, actor_role, purpose, application_id::text, content::jsonb::text \
                FROM events WHERE purpose IS NOT NULL AND strpos(content, 'template') > 0";
    let row = sql.query_one(last, &[]).await.unwrap();
    let text = |at: usize| row.get::<_, String>(at);
    assert_eq!([text(0), text(1), text(2)], ["applicationRead", "seniorOfficer", "supervision"]);
    assert_eq!(text(3), case.id);
    let content: Value = serde_json::from_str(&text(4)).unwrap();
    assert_eq!(content, json!({ "fields": ["summary", "personName"], "template": "refusal" }));
}
