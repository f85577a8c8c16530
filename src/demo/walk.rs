//! One new application through its whole life, over HTTP, as the people who would do it.
//!
//! What differs between tracks is taken from the service: who may apply and with which documents and sections from
//! `GET /v1/workflows/{track}`, what comes next from the `commands` and `charges` of the application. Anything
//! that is not as expected ends the walk with an error.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{Days, NaiveDate, TimeDelta};
use serde_json::{Value, json};
use uuid::Uuid;

use super::http::{self, Answer, Request};
use super::people::{ACCOUNTS, DemoAccount, PASSWORD};
use super::{line, seed};
use crate::app::App;
use crate::casework::Casework;
use crate::domain::permit::add_months;
use crate::error::{Error, Result};
use crate::permits::keys::PublishedKeys;
use crate::permits::statement::{self, STATUS_LIST_PATH};
use crate::permits::status_list::{self, Status};
use crate::storage::applications::{self, Key, Wants};
use crate::storage::audit;

/// More steps than any track takes: a walk that goes in circles ends.
const MOST_STEPS: usize = 60;

/// How often the walk looks whether the registers have answered, and after what time it looks again.
const MOST_LOOKS: usize = 200;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How much of a body is shown.
const SHOWN: usize = 150;

/// Walks a new application of `track` to a permit in force, and what is paid by the month three months on.
///
/// # Errors
/// [`Error::Internal`] saying what differs from what was expected.
pub async fn walk(app: &App, address: SocketAddr, provider: SocketAddr, track: &str) -> Result<()> {
    let mut walk = Walk {
        app,
        address,
        provider,
        tokens: BTreeMap::new(),
        number: 0,
        view: Value::Null,
        etag: String::new(),
    };
    walk.all(track).await
}

struct Walk<'a> {
    app: &'a App,
    address: SocketAddr,
    /// Where the simulated payment provider is.
    provider: SocketAddr,
    tokens: BTreeMap<&'static str, String>,
    number: usize,
    /// The application as it was last seen, and its entity tag.
    view: Value,
    etag: String,
}

impl Walk<'_> {
    async fn all(&mut self, track: &str) -> Result<()> {
        let workflow = self.read("anyone", &format!("/v1/workflows/{track}")).await?;
        let applicants = strings(&workflow["applicants"]);
        let applicant = ["migrant", "employer"]
            .into_iter()
            .find(|role| applicants.iter().any(|one| one == role))
            .ok_or_else(|| Error::bug(format!("nobody can apply on the track '{track}'")))?;
        for login in [applicant, "officer1", "officer2", "auditor"] {
            self.log_in(login).await?;
        }
        self.open(applicant, track, &workflow).await?;
        self.attach(applicant, &workflow).await?;
        let mut asked = false;
        for _ in 0..MOST_STEPS {
            if self.text("phase") == "inForce" {
                return self.look_back(applicant).await;
            }
            self.go_on(applicant, &workflow, &mut asked).await?;
        }
        Err(Error::bug(format!("after {MOST_STEPS} steps there is no permit in force")))
    }

    /// Takes the next step that the application allows.
    async fn go_on(
        &mut self,
        applicant: &'static str,
        workflow: &Value,
        asked: &mut bool,
    ) -> Result<()> {
        if let Some(charge) = self.open_charge() {
            return self.pay(&charge).await;
        }
        if self.may(applicant, "submit").await? {
            return self
                .command(applicant, "hands the draft in", json!({"command": "submit"}))
                .await;
        }
        if self.may("officer1", "accept").await? {
            self.claim().await?;
            self.command("officer1", "takes it in", json!({"command": "accept"})).await?;
            self.show_clock("officer1").await?;
            return self.await_registers("officer1").await;
        }
        let open: Vec<String> = items(&self.view["checks"])
            .filter(|check| check["clear"] == false)
            .filter_map(|check| check["id"].as_str().map(str::to_owned))
            .collect();
        if let Some(check) = open.first()
            && self.may("officer1", "recordFinding").await?
        {
            if open.len() == 1 && !*asked && self.may("officer1", "requestInformation").await? {
                *asked = true;
                return self.ask(applicant, workflow).await;
            }
            let command = json!({"command": "recordFinding", "check": check, "outcome": "clear"});
            return self.command("officer1", "records the answer to a check", command).await;
        }
        if self.lists("officer1", "grant").await? {
            return self.decide().await;
        }
        if self.may("officer2", "handOver").await? {
            let command = json!({"command": "handOver"});
            return self.command("officer2", "hands the permit over", command).await;
        }
        Err(Error::bug(format!(
            "in the state '{}' nobody can take the next step; the commands are {}",
            self.text("state"),
            self.view["commands"]
        )))
    }

    /// Waits until every register that answers by itself has done so.
    async fn await_registers(&mut self, who: &'static str) -> Result<()> {
        for _ in 0..MOST_LOOKS {
            self.look(who).await?;
            let (open, answered): (Vec<&Value>, Vec<&Value>) = items(&self.view["checks"])
                .filter(|check| {
                    check["source"].as_str().is_some_and(|of| self.app.registers.get(of).is_some())
                })
                .partition(|check| check["outcome"].is_null());
            if open.is_empty() {
                let told = answered.iter().map(|check| {
                    let said = |name: &str| check[name].as_str().unwrap_or_default();
                    format!("{} {}", said("source"), said("outcome"))
                });
                let told: Vec<String> = told.collect();
                line(&format!("     the registers have answered: {}", told.join(", ")));
                return Ok(());
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err(Error::bug(format!("the registers do not answer: {}", self.view["checks"])))
    }

    async fn log_in(&mut self, login: &'static str) -> Result<()> {
        let email = account(login)?.email();
        let body = json!({"email": email, "password": PASSWORD});
        let answer = self.json(None, "POST", "/v1/session", Vec::new(), &body).await?;
        expect(&answer, 200, "logging in")?;
        let token = answer.json["accessToken"].as_str().unwrap_or_default().to_owned();
        self.tokens.insert(login, token);
        Ok(())
    }

    async fn open(&mut self, who: &'static str, track: &str, workflow: &Value) -> Result<()> {
        let sections = strings(&workflow["requiredSections"]);
        let form: serde_json::Map<String, Value> = match self.form() {
            Value::Object(form) => {
                form.into_iter().filter(|(section, _)| sections.contains(section)).collect()
            }
            _ => serde_json::Map::new(),
        };
        let body = json!({"track": track, "unit": "77", "form": form});
        let fields = vec![("Idempotency-Key", self.app.clock.new_id().to_string())];
        let answer = self.json(Some(who), "POST", "/v1/applications", fields, &body).await?;
        self.step(who, "opens a draft", "POST /v1/applications", &body.to_string(), answer, 201)
            .await
    }

    async fn attach(&mut self, who: &'static str, workflow: &Value) -> Result<()> {
        let kinds: Vec<String> = items(&workflow["documents"])
            .filter(|document| document["required"] == true)
            .filter_map(|document| document["kind"].as_str().map(str::to_owned))
            .collect();
        for kind in kinds {
            self.upload(who, &kind, "hands a document in").await?;
        }
        Ok(())
    }

    async fn upload(&mut self, who: &'static str, kind: &str, what: &str) -> Result<()> {
        let path = format!("/v1/applications/{}/documents/{kind}", self.text("id"));
        let (bytes, media_type) = seed::document(kind);
        let fields = vec![("Content-Type", media_type.to_owned()), ("If-Match", self.etag.clone())];
        let answer = self.send(Some(who), "PUT", &path, fields, bytes.to_vec()).await?;
        let body = format!("({} bytes of {media_type})", bytes.len());
        self.step(who, what, &format!("PUT {path}"), &body, answer, 200).await
    }

    async fn command(&mut self, who: &'static str, what: &str, body: Value) -> Result<()> {
        let (answer, request) = self.give(who, &body).await?;
        self.step(who, what, &request, &body.to_string(), answer, 200).await
    }

    async fn give(&mut self, who: &'static str, body: &Value) -> Result<(Answer, String)> {
        let path = format!("/v1/applications/{}/commands", self.text("id"));
        let fields = vec![
            ("If-Match", self.etag.clone()),
            ("Idempotency-Key", self.app.clock.new_id().to_string()),
        ];
        let answer = self.json(Some(who), "POST", &path, fields, body).await?;
        Ok((answer, format!("POST {path}")))
    }

    /// Takes the next application of the queue; when that is an older one, gives it back and takes this one.
    async fn claim(&mut self) -> Result<()> {
        let who = "officer1";
        let path = "/v1/queues/intake/claims";
        let fields = vec![("Idempotency-Key", self.app.clock.new_id().to_string())];
        let answer = self.send(Some(who), "POST", path, fields, Vec::new()).await?;
        expect(&answer, 200, "claiming the next application")?;
        if answer.json["id"] == self.view["id"] {
            return self
                .step(
                    who,
                    "takes the next case of the queue",
                    &format!("POST {path}"),
                    "",
                    answer,
                    200,
                )
                .await;
        }
        self.say(who, "takes the next case of the queue", &format!("POST {path}"), "", 200);
        line("     an older application came first; it goes back");
        let other = answer.json["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/v1/applications/{other}/claim");
        let fields = vec![("If-Match", answer.etag.unwrap_or_default())];
        let answer = self.send(Some(who), "DELETE", &path, fields, Vec::new()).await?;
        expect(&answer, 200, "giving a case back")?;
        let path = format!("/v1/applications/{}/claim", self.text("id"));
        let fields = vec![("If-Match", self.etag.clone())];
        let answer = self.send(Some(who), "PUT", &path, fields, Vec::new()).await?;
        self.step(who, "takes this case", &format!("PUT {path}"), "", answer, 200).await
    }

    async fn ask(&mut self, applicant: &'static str, workflow: &Value) -> Result<()> {
        let document = items(&workflow["documents"])
            .find(|document| document["required"] == true)
            .and_then(|document| document["kind"].as_str())
            .unwrap_or_default()
            .to_owned();
        let item = json!({"kind": "document", "subject": document,
            "reason": "The copy cannot be read.", "dueOn": self.today() + Days::new(10)});
        let body = json!({"command": "requestInformation", "items": [item]});
        self.command("officer1", "asks for a better copy: the clock stands still", body).await?;
        if self.view["clockStopped"] != true {
            return Err(Error::bug("the clock runs while the applicant is being asked"));
        }
        self.show_clock("officer1").await?;
        self.upload(applicant, &document, "hands in a better copy").await?;
        let answers: Vec<Value> = items(&self.view["information"])
            .filter(|item| item["open"] == true)
            .map(|item| json!({"item": item["item"], "text": "I have uploaded a better copy."}))
            .collect();
        let body = json!({"command": "answerInformation", "answers": answers});
        self.command(applicant, "answers: the clock goes on", body).await?;
        self.show_clock(applicant).await
    }

    /// Shows that who checked cannot decide; then a colleague grants.
    async fn decide(&mut self) -> Result<()> {
        let path = format!("/v1/applications/{}/claim", self.text("id"));
        if !self.view["claim"].is_null() {
            let fields = vec![("If-Match", self.etag.clone())];
            let answer = self.send(Some("officer1"), "DELETE", &path, fields, Vec::new()).await?;
            self.step(
                "officer1",
                "gives the case back",
                &format!("DELETE {path}"),
                "",
                answer,
                200,
            )
            .await?;
        }
        let body = json!({"command": "grant"});
        let (answer, request) = self.give("officer1", &body).await?;
        self.say(
            "officer1",
            "tries to decide what he checked",
            &request,
            &body.to_string(),
            answer.status,
        );
        expect(&answer, 422, "a decision by who checked")?;
        if !answer.json.to_string().contains("four-eyes") {
            return Err(Error::bug(format!(
                "it was refused, but not for four eyes: {}",
                answer.json
            )));
        }
        line(&format!(
            "     refused, as it should be: {}",
            answer.json["detail"].as_str().unwrap_or("four eyes")
        ));
        self.command("officer2", "grants", body).await
    }

    /// Has the simulated provider take what is due on a charge; it tells the office of it, signed, before it answers.
    async fn pay(&mut self, charge: &Value) -> Result<()> {
        let due = charge["outstanding"]["kopecks"].as_i64().unwrap_or_default();
        self.pay_amount(charge, due).await
    }

    async fn pay_amount(&mut self, charge: &Value, kopecks: i64) -> Result<()> {
        let before = self.text("state");
        let fee = charge["title"].as_str().unwrap_or_default().to_owned();
        let body = json!({"uin": charge["uin"], "amountKopecks": kopecks, "payer": "walk"});
        let body = body.to_string();
        let request = Request {
            method: "POST",
            path: "/payments",
            fields: vec![("Content-Type", "application/json".to_owned())],
            body: body.clone().into_bytes(),
        };
        let answer = http::send(self.provider, &request).await?;
        self.say(
            "the payer",
            &format!("pays at the provider, which tells the office: {fee}"),
            &format!("POST http://{}/payments", self.provider),
            &body,
            answer.status,
        );
        expect(&answer, 200, "a payment at the provider")?;
        let told = &answer.json["last"];
        if told["status"] != 200 || told["answer"]["outcome"] != "booked" {
            return Err(Error::bug(format!("the payment was not booked: {told}")));
        }
        line(&format!("     the office answered the provider {}: booked", told["status"]));
        self.look("officer1").await?;
        self.moved(&before).await
    }

    /// Pays a month of a permit that months carry, then two at once; each moves the last paid day.
    async fn pay_months(&mut self) -> Result<()> {
        for months in [1, 2] {
            let Some(charge) = self.open_charge() else { return Ok(()) };
            let day = |view: &Value, name: &str| {
                let day = view["permit"][name].as_str().unwrap_or_default();
                day.parse::<NaiveDate>()
                    .map_err(|error| Error::internal(format!("the permit's {name}"), error))
            };
            let month = charge["outstanding"]["kopecks"].as_i64().unwrap_or_default();
            let (issued, before) = (day(&self.view, "issuedOn")?, day(&self.view, "paidThrough")?);
            self.pay_amount(&charge, month * i64::from(months)).await?;
            let after = day(&self.view, "paidThrough")?;
            line(&format!("     the permit was paid through {before} and is through {after}"));
            let paid = (1..=12).find(|paid| add_months(issued, *paid) == before);
            if paid.map(|paid| add_months(issued, paid + months)) != Some(after) {
                return Err(Error::bug(format!("{months} month(s) do not lead there")));
            }
        }
        Ok(())
    }

    async fn show_clock(&mut self, who: &'static str) -> Result<()> {
        let path = format!("/v1/applications/{}/clock", self.text("id"));
        let clock = self.read(who, &path).await?;
        let counted = items(&clock["days"]).filter(|day| !day["counted"].is_null()).count();
        let due = clock["dueOn"].as_str().unwrap_or("none while the clock stands still");
        line(&format!(
            "     GET {path}: {} working days from {}, {counted} days counted so far or to come, due on: {due}",
            clock["workingDays"],
            clock["startedOn"].as_str().unwrap_or_default()
        ));
        let stands_still = self.view["clockStopped"] == true;
        if stands_still == clock["dueOn"].is_null() {
            return Ok(());
        }
        Err(Error::bug(format!("the clock and the application disagree: {clock}")))
    }

    /// What everybody can read at the end.
    async fn look_back(&mut self, applicant: &'static str) -> Result<()> {
        self.pay_months().await?;
        let id = self.text("id");
        let number = self.view["permit"]["number"].as_str().unwrap_or_default().to_owned();
        let path = format!("/v1/permits/{number}");
        let permit = self.read("anyone", &path).await?;
        self.say(
            "an employer",
            "looks whether the permit is valid",
            &format!("GET {path}"),
            "",
            200,
        );
        line(&format!(
            "     valid: {}, {}, until {}",
            permit["valid"],
            permit["reason"].as_str().unwrap_or_default(),
            permit["endsOn"].as_str().unwrap_or_default()
        ));
        if permit["valid"] != true {
            return Err(Error::bug(format!("the new permit is not valid: {permit}")));
        }
        self.prove(applicant, &number).await?;
        let version = usize::try_from(self.view["version"].as_u64().unwrap_or(0)).unwrap_or(0);
        for (who, what, path) in [
            (
                "auditor",
                "reads the log",
                format!("/v1/audit/events?application={id}&only=changes&limit=100"),
            ),
            (applicant, "reads the history", format!("/v1/applications/{id}/history?limit=100")),
        ] {
            let events = self.read(who, &path).await?;
            self.say(who, what, &format!("GET {path}"), "", 200);
            let count = items(&events["items"]).count();
            line(&format!("     {count} events"));
            if count != version {
                return Err(Error::bug(format!("there are {count} events, but version {version}")));
            }
        }
        self.look_who_read(applicant, &id).await?;
        let id: Uuid =
            id.parse().map_err(|error| Error::internal("an application's id is none", error))?;
        let mut conn = self.app.db.conn().await?;
        let stored = applications::find(&mut conn, Key::Id(id), Wants::default()).await?;
        let stored = stored.ok_or_else(Error::not_found)?.application;
        let events = audit::history(&mut conn, id).await?;
        let differences = Casework::differences(&stored, &events);
        if !differences.is_empty() {
            return Err(Error::bug(format!(
                "the events do not add up: {}",
                differences.join("; ")
            )));
        }
        line(&format!("\nReplayed: {} events give the application as it is stored.", events.len()));
        line(&format!("Walked {} steps from draft to {}.", self.number, self.text("state")));
        Ok(())
    }

    /// The applicant shows the permit's QR; an inspector verifies it with what he fetched of the office in the morning.
    async fn prove(&mut self, applicant: &'static str, number: &str) -> Result<()> {
        let path = format!("/v1/applications/{}/permit/qr", self.text("id"));
        let fields = vec![("Accept", "application/jwt".to_owned())];
        let qr = self.send(Some(applicant), "GET", &path, fields, Vec::new()).await?;
        self.say(applicant, "has the permit's QR printed", &format!("GET {path}"), "", qr.status);
        expect(&qr, 200, "the QR of a permit in force")?;
        line(&format!("     the QR holds {} bytes", qr.text.len()));
        let keys = self.send(None, "GET", "/.well-known/jwks.json", Vec::new(), Vec::new()).await?;
        let list = self.send(None, "GET", STATUS_LIST_PATH, Vec::new(), Vec::new()).await?;
        self.say("an inspector", "verifies it off line", "propusk permit verify", "", list.status);
        let now = self.app.clock.now();
        let wrong = |what: &str| Error::bug(format!("the permit does not prove itself: {what}"));
        let keys = PublishedKeys::parse(&keys.text).map_err(|error| wrong(&error.to_string()))?;
        let proven = statement::verify(&qr.text, &keys, now);
        let stated = proven.map_err(|error| wrong(&error.to_string()))?.statement;
        let list = status_list::open(&list.text, &keys, now);
        let list = list.map_err(|error| wrong(&error.to_string()))?;
        let standing = list.bits.get(stated.status.status_list.idx);
        line(&format!(
            "     {} of {}, born in {}: genuine, to {}, {standing:?} in the status list",
            stated.num,
            stated.ini,
            stated.yob,
            stated.last_day()
        ));
        match standing {
            Some(Status::Valid) if stated.num.as_str() == number => Ok(()),
            _ => Err(wrong("the status list or the number says otherwise")),
        }
    }

    /// The applicant sees who read the file: officers at work, and the auditor's question just now.
    async fn look_who_read(&mut self, applicant: &'static str, id: &str) -> Result<()> {
        let path = format!("/v1/applications/{id}/accesses");
        let reads = self.read(applicant, &path).await?;
        self.say(applicant, "sees who read the file", &format!("GET {path}"), "", 200);
        for read in items(&reads["items"]).take(3) {
            line(&format!(
                "     {} by {} for {}: {}",
                read["kind"].as_str().unwrap_or_default(),
                read["role"].as_str().unwrap_or_default(),
                read["purpose"].as_str().unwrap_or_default(),
                strings(&read["fields"]).join(", ")
            ));
        }
        let roles: Vec<&Value> = items(&reads["items"]).map(|read| &read["role"]).collect();
        if ["officer", "auditor"].iter().all(|role| roles.iter().any(|one| *one == role)) {
            return Ok(());
        }
        Err(Error::bug(format!("the reads of the walk are not all told: {reads}")))
    }

    /// Prints a step, expects its status, takes the answer as the application, and prints where it got.
    async fn step(
        &mut self,
        who: &str,
        what: &str,
        request: &str,
        body: &str,
        answer: Answer,
        status: u16,
    ) -> Result<()> {
        let before = self.text("state");
        self.say(who, what, request, body, answer.status);
        expect(&answer, status, what)?;
        self.etag = answer.etag.unwrap_or_default();
        self.view = answer.json;
        self.moved(&before).await
    }

    fn say(&mut self, who: &str, what: &str, request: &str, body: &str, status: u16) {
        self.number += 1;
        line(&format!("\n{:3}. {who} {what}", self.number));
        let shown: String = body.chars().take(SHOWN).collect();
        let more = if body.chars().count() > SHOWN { "…" } else { "" };
        line(&format!("     {request} {shown}{more}"));
        line(&format!("     answered {status}"));
    }

    /// Prints the state before and after, and what the public is told; both must agree.
    async fn moved(&mut self, before: &str) -> Result<()> {
        let after = self.text("state");
        let before = if before.is_empty() { "(nothing)" } else { before };
        line(&format!("     state: {before} → {after}, version {}", self.view["version"]));
        let status = self.read("anyone", &format!("/v1/status/{}", self.text("reference"))).await?;
        let said = |name: &str| status[name].as_str().unwrap_or("none").to_owned();
        line(&format!(
            "     public: {} · {} · waits for {} · due on {} · {}",
            said("reference"),
            said("stage"),
            said("waitsFor"),
            said("dueOn"),
            said("next")
        ));
        if said("stage") == self.text("stage") {
            return Ok(());
        }
        Err(Error::bug(format!("the public is told of '{}' in the state '{after}'", said("stage"))))
    }

    /// Tells whether somebody can give a command now.
    async fn may(&mut self, who: &'static str, command: &str) -> Result<bool> {
        self.look(who).await?;
        Ok(items(&self.view["commands"]).any(|one| {
            one["command"] == command && one["blockedBy"].as_array().is_none_or(Vec::is_empty)
        }))
    }

    /// Tells whether somebody's role can give a command now, blocked or not.
    async fn lists(&mut self, who: &'static str, command: &str) -> Result<bool> {
        self.look(who).await?;
        Ok(items(&self.view["commands"]).any(|one| one["command"] == command))
    }

    /// Reads the application as somebody sees it.
    async fn look(&mut self, who: &'static str) -> Result<()> {
        let path = format!("/v1/applications/{}", self.text("id"));
        let answer = self.send(Some(who), "GET", &path, Vec::new(), Vec::new()).await?;
        expect(&answer, 200, "reading the application")?;
        self.etag = answer.etag.unwrap_or_default();
        self.view = answer.json;
        Ok(())
    }

    async fn read(&mut self, who: &str, path: &str) -> Result<Value> {
        let who = self.tokens.keys().find(|login| **login == who).copied();
        let answer = self.send(who, "GET", path, Vec::new(), Vec::new()).await?;
        expect(&answer, 200, &format!("GET {path}"))?;
        Ok(answer.json)
    }

    async fn json(
        &mut self,
        who: Option<&str>,
        method: &str,
        path: &str,
        mut fields: Vec<(&str, String)>,
        body: &Value,
    ) -> Result<Answer> {
        fields.push(("Content-Type", "application/json".to_owned()));
        self.send(who, method, path, fields, body.to_string().into_bytes()).await
    }

    /// Sends a request; waits and tries again when there were too many.
    async fn send(
        &mut self,
        who: Option<&str>,
        method: &str,
        path: &str,
        mut fields: Vec<(&str, String)>,
        body: Vec<u8>,
    ) -> Result<Answer> {
        if let Some(who) = who {
            let token = self.tokens.get(who).cloned().unwrap_or_default();
            fields.push(("Authorization", format!("Bearer {token}")));
        }
        let request = Request { method, path, fields, body };
        loop {
            let answer = http::send(self.address, &request).await?;
            if answer.status != 429 {
                return Ok(answer);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn open_charge(&self) -> Option<Value> {
        items(&self.view["charges"]).find(|charge| charge["status"] == "open").cloned()
    }

    fn text(&self, name: &str) -> String {
        self.view[name].as_str().unwrap_or_default().to_owned()
    }

    fn today(&self) -> NaiveDate {
        (self.app.clock.now() + TimeDelta::hours(3)).date_naive()
    }

    /// States everything that any track asks for; of a person whom nobody has seen before.
    fn form(&self) -> Value {
        let mut random = [0; 4];
        self.app.clock.fill(&mut random);
        // The last digits say what the simulated registers answer: these are clear everywhere.
        let number = u32::from_le_bytes(random) % 100_000 * 100;
        let today = self.today();
        let born = NaiveDate::from_ymd_opt(1992, 3, 8).unwrap_or(today);
        json!({
            "person": {"familyName": "Юсупов", "givenName": "Фаррух", "patronymic": "Азизович",
                "birthDate": born - Days::new(u64::from(number % 9_000)), "sex": "male", "citizenship": "UZB"},
            "passport": {"number": format!("FB{number:07}"), "issuedOn": today - Days::new(400),
                "expiresOn": today + Days::new(3200)},
            "entry": {"enteredOn": today - Days::new(5), "migrationCard": "4626 1234567"},
            "occupation": {"code": "7112", "title": "Каменщик"},
            "employer": {"inn": "7707083893", "name": "ООО «СтройГрад»"},
            "contract": {"salaryKopecks": 90_000_000, "salaryPeriod": "quarter",
                "startsOn": today + Days::new(30)},
            "contact": {"email": "farrukh@mail.example", "language": "ru"},
            "prepaidMonths": 1,
        })
    }
}

fn account(login: &str) -> Result<DemoAccount> {
    ACCOUNTS
        .into_iter()
        .find(|account| account.login == login)
        .ok_or_else(|| Error::bug(format!("there is no account {login}")))
}

fn expect(answer: &Answer, status: u16, what: &str) -> Result<()> {
    if answer.status == status {
        return Ok(());
    }
    Err(Error::bug(format!(
        "{what}: expected {status}, was answered {}: {}",
        answer.status, answer.json
    )))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn strings(list: &Value) -> Vec<String> {
    items(list).filter_map(|one| one.as_str().map(str::to_owned)).collect()
}
