//! The demo as a newcomer meets it: a process of its own that is walked, killed and started again.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use propusk::demo::http::{self, Request};
use propusk::demo::people::{ACCOUNTS, PASSWORD};
use serde_json::{Value, json};

use crate::support::db::test_dir;

/// A demo that serves; killed when dropped.
struct Demo {
    child: Child,
    address: SocketAddr,
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_propusk"));
    command.args(["demo", "--port", "0", "--data"]).arg(dir).stdin(Stdio::null());
    command
}

/// Starts a demo and waits until it says that it is ready.
fn serve(dir: &Path) -> Demo {
    let mut child = command(dir).stdout(Stdio::piped()).spawn().unwrap();
    let mut address = None;
    let mut output = String::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if let Some((_, url)) = line.split_once("open at http://") {
            address = Some(url.parse().unwrap());
        }
        output.push_str(&line);
        output.push('\n');
        if line.starts_with("Stop it") {
            break;
        }
    }
    let address = address.unwrap_or_else(|| panic!("the demo did not start:\n{output}"));
    Demo { child, address }
}

/// Walks a track and gives the reference of the application that was walked.
fn walk(dir: &Path, track: &str) -> String {
    let output = command(dir).args(["--walk", "--track", track]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("Replayed: "), "{text}");
    let told = text.lines().rfind(|line| line.contains("public: ")).unwrap();
    told.split(" · ").next().unwrap().rsplit(' ').next().unwrap().to_owned()
}

impl Demo {
    async fn get(&self, path: &str, token: Option<&str>) -> Value {
        let fields = token.map(|token| ("Authorization", format!("Bearer {token}")));
        let fields = fields.into_iter().collect();
        let request = Request { method: "GET", path, fields, body: Vec::new() };
        let answer = http::send(self.address, &request).await.unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.json);
        answer.json
    }

    /// Gives what can be seen of the migrant's applications, and of one by its reference.
    async fn seen(&self, reference: &str) -> (Value, Value) {
        let body = json!({"email": ACCOUNTS[0].email(), "password": PASSWORD}).to_string();
        let fields = vec![("Content-Type", "application/json".to_owned())];
        let request =
            Request { method: "POST", path: "/v1/session", fields, body: body.into_bytes() };
        let session = http::send(self.address, &request).await.unwrap().json;
        let own = self.get("/v1/applications", session["accessToken"].as_str()).await;
        (own, self.get(&format!("/v1/status/{reference}"), None).await)
    }
}

#[tokio::test]
async fn a_demo_is_walked_and_loses_nothing_when_it_is_killed() {
    let dir = test_dir("demo");
    let reference = walk(&dir, "patent");

    let mut demo = serve(&dir);
    let (own, walked) = demo.seen(&reference).await;
    assert_eq!(walked["state"], "inForce");
    assert!(own["items"].as_array().unwrap().len() >= 3, "the walked one and the seeded: {own}");
    // SIGKILL: neither the demo nor its PostgreSQL can put anything away.
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();

    let demo = serve(&dir);
    assert_eq!(demo.seen(&reference).await, (own, walked));
    drop(demo);

    walk(&dir, "highly-qualified-specialist");
}
