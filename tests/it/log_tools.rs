//! The tools that need no database, as their users meet them: keys, a receipt, a log in a folder and at an address,
//! and a witness that is killed and started again.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use propusk::audit::checkpoint::Checkpoint;
use propusk::audit::merkle::{Hash, empty_root, leaf_hash, node_hash};
use propusk::audit::note::{self, LogKey, LogKeys, VerifierKey};
use propusk::audit::proof::LogProof;
use propusk::audit::receipt::extra;
use propusk::audit::tile::{Level, Plan, Tile, bundle, tiles_of};
use propusk::audit::witness::client::{AskError, Witness};
use propusk::domain::event::leaf::Leaf;
use propusk::domain::event::sealed::{canonical, commitment, pseudonym};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::db::test_dir;

const ORIGIN: &str = "log.example/work";
const APPLICATION: Uuid = Uuid::from_u128(3);
const AT: u64 = 1_795_600_000;

fn folder(name: &str) -> PathBuf {
    let folder = test_dir(&format!("log-tools-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the program; gives whether it succeeded, and what it said on both outputs.
fn propusk(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_propusk"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

fn keys() -> LogKeys {
    LogKeys::new(vec![LogKey::generate(ORIGIN, [1; 32]).unwrap()]).unwrap()
}

fn vkey() -> String {
    keys().keys()[0].verifier().to_string()
}

fn salt(index: u64) -> [u8; 32] {
    leaf_hash(&index.to_be_bytes())
}

fn private(index: u64) -> Value {
    json!({
        "actor": Uuid::from_u128(2), "application": APPLICATION,
        "at": "2026-11-24T10:00:00.123456Z", "command": "accept", "content": { "note": "Всё в порядке" },
        "event": Uuid::from_u128(index.into()), "from": "submitted", "role": "officer", "to": "checking", "v": 1,
    })
}

fn leaf(index: u64) -> Leaf {
    Leaf {
        at: 1_795_514_400,
        commitment: commitment(&salt(index), &canonical(&private(index)).unwrap()),
        event: Uuid::from_u128(index.into()),
        kind: "accepted".to_owned(),
        pseudonym: Some(pseudonym(&salt(index), APPLICATION)),
        seq: Some(4),
        track: Some("patent".to_owned()),
        unit: Some("77".to_owned()),
        workflow: Some(1),
    }
}

fn root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(hashes.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

/// A log that was made here, of leaves that can be chosen.
struct Log {
    leaves: Vec<Vec<u8>>,
    tiles: HashMap<Tile, Vec<u8>>,
}

impl Log {
    fn of(leaves: Vec<Vec<u8>>) -> Self {
        let mut rows: Vec<Vec<Hash>> = vec![leaves.iter().map(|leaf| leaf_hash(leaf)).collect()];
        while let Some(row) = rows.last().filter(|row| row.len() >= 256) {
            rows.push(row.chunks_exact(256).map(root).collect());
        }
        let tiles = tiles_of(leaves.len() as u64)
            .map(|tile| {
                let start = usize::try_from(tile.index()).unwrap() * 256;
                let range = start..start + usize::from(tile.width());
                let bytes = match tile.level() {
                    Level::Entries => bundle::encode(&leaves[range]).unwrap(),
                    Level::Hashes(level) => rows[usize::from(level)][range].concat(),
                };
                (tile, bytes)
            })
            .collect();
        Self { leaves, tiles }
    }

    fn sized(size: u64) -> Self {
        Self::of((0..size).map(|index| leaf(index).encode()).collect())
    }

    fn size(&self) -> u64 {
        self.leaves.len() as u64
    }

    fn note(&self) -> String {
        let hashes: Vec<Hash> = self.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let checkpoint =
            Checkpoint { origin: ORIGIN.to_owned(), size: self.size(), root: root(&hashes) };
        keys().sign_checkpoint(&checkpoint, AT).unwrap()
    }

    fn consistency(&self, old: u64) -> Vec<Hash> {
        Plan::consistency(old, self.size()).unwrap().resolve(&self.tiles).unwrap()
    }

    fn write(&self, folder: &Path) {
        for (tile, bytes) in &self.tiles {
            let path = folder.join(tile.path());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::write(folder.join("checkpoint"), self.note()).unwrap();
    }

    fn receipt(&self, index: u64, extra: Vec<u8>, note: String) -> String {
        let hashes = Plan::inclusion(index, self.size()).unwrap().resolve(&self.tiles).unwrap();
        LogProof { extra: Some(extra), index, hashes, checkpoint: note }.to_string()
    }
}

#[test]
fn a_key_is_made_once_rotated_and_never_shown() {
    let file = folder("keys").join("log.key");
    let path = file.to_str().unwrap();
    let (done, said) = propusk(&["audit", "key", "new", ORIGIN, path]);
    assert!(done, "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let first = LogKeys::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    let exports = first.purpose_verifiers("export").unwrap();
    for key in [&first.verifiers()[..], &[first.keys()[0].cosigner_verifier()], &exports].concat() {
        assert!(said.contains(&format!("  {key}\n")), "{said}");
    }
    assert!(said.contains(&format!("Signed exports, with:\n  {}\n", exports[0])), "{said}");
    assert!(!said.contains("etired"), "{said}");
    let (done, again) = propusk(&["audit", "key", "new", ORIGIN, path]);
    assert!(!done && again.contains("is there already"), "{again}");
    assert_eq!(fs::read_to_string(&file).unwrap(), first.private_text());

    let (done, rotated) = propusk(&["audit", "key", "rotate", path]);
    assert!(done, "{rotated}");
    let both = LogKeys::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(both.keys().len(), 2);
    assert_eq!(both.keys()[0].private_line(), first.keys()[0].private_line());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (_, shown) = propusk(&["audit", "key", "show", path]);
    for key in [both.verifiers(), both.purpose_verifiers("export").unwrap()].concat() {
        assert!(shown.contains(&key.to_string()), "{shown}");
        assert!(rotated.contains(&key.to_string()), "{rotated}");
    }

    let (done, finished) = propusk(&["audit", "key", "rotate", "--finish", path]);
    assert!(done, "{finished}");
    let newest = LogKeys::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    // The old key signs no more, and what it signed is verified with what the file keeps of it.
    let [old, fresh] = first.verifiers().try_into().unwrap();
    let line = both.keys()[1].private_line();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{old}\n{fresh}\n{line}\n"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: 0, root: empty_root() };
    let note = first.sign_checkpoint(&checkpoint, AT).unwrap();
    note::open_checkpoint(&note, &newest.verifiers()).unwrap();
    let note = newest.sign_checkpoint(&checkpoint, AT).unwrap();
    note::open_checkpoint(&note, &first.verifiers()).unwrap_err();
    let (_, after) = propusk(&["audit", "key", "show", path]);
    let retired = format!("Retired, and only for what was signed before:\n  {old}\n  {fresh}\n");
    assert!(after.ends_with(&retired) && finished.contains(&retired), "{after}{finished}");
    assert!(finished.ends_with(&format!("note:\n  {}\n", exports[0])), "{finished}");
    let (done, nothing) = propusk(&["audit", "key", "rotate", "--finish", path]);
    assert!(done && nothing.contains("nothing to retire"), "{nothing}");

    // The next rotation keeps it.
    let (done, next) = propusk(&["audit", "key", "rotate", path]);
    assert!(done && next.contains("all 2 sign") && next.contains(&retired), "{next}");
    let (done, last) = propusk(&["audit", "key", "rotate", "--finish", path]);
    assert!(done, "{last}");
    let newest = LogKeys::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((newest.keys().len(), newest.retired().len()), (1, 4));
    for said in [said, again, rotated, shown, finished, after, nothing, next, last] {
        assert!(!said.contains("PRIVATE"), "{said}");
        for key in both.keys() {
            let line = key.private_line();
            assert!(!said.contains(line.splitn(5, '+').last().unwrap()), "{said}");
        }
    }

    let (done, said) = propusk(&["audit", "key", "new", "two words", path]);
    assert!(!done && said.contains("no spaces"), "{said}");
    fs::write(&file, format!("{old}\n{fresh}\n")).unwrap();
    let (done, said) = propusk(&["audit", "key", "show", path]);
    assert!(!done && said.contains("has no key that signs"), "{said}");
    fs::write(&file, "PRIVATE+KEY+secret").unwrap();
    let (done, said) = propusk(&["audit", "key", "show", path]);
    assert!(!done && said.contains("line 1 of the key file") && !said.contains("secret"), "{said}");
}

#[test]
fn a_log_in_a_folder_is_verified_and_followed_and_what_is_broken_is_named() {
    let folder = folder("verify");
    let (log, kept) = (folder.join("log"), folder.join("checkpoint"));
    let (log, kept) = (log.to_str().unwrap(), kept.to_str().unwrap());
    let verify = |key: &str| propusk(&["audit", "verify", log, "--key", key, "--trusted", kept]);
    Log::sized(600).write(log.as_ref());
    let (done, said) = verify(&vkey());
    assert!(done && said.contains("in order: 600 leaves\n  600 leaves read"), "{said}");
    assert_eq!(fs::read_to_string(kept).unwrap(), Log::sized(600).note());

    Log::sized(1000).write(log.as_ref());
    let (done, said) = verify(&vkey());
    assert!(done && said.contains("continues the trusted checkpoint of 600 leaves"), "{said}");
    assert!(said.contains("  400 leaves read"), "{said}");

    // Each kind of damage is named, and the trusted checkpoint stays what it was.
    let before = fs::read_to_string(kept).unwrap();
    let mut more: Vec<Vec<u8>> = (0..1100).map(|index| leaf(index).encode()).collect();
    Log::of(more.clone()).write(log.as_ref());
    let bundle = Path::new(log).join("tile/entries/004.p/76");
    let good = fs::read(&bundle).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() = b']';
    fs::write(&bundle, bad).unwrap();
    let (done, said) = verify(&vkey());
    assert!(!done, "{said}");
    assert!(
        said.contains("entry bundle tile/entries/004.p/76, leaf 1099: the leaf is not of the form"),
        "{said}"
    );
    fs::remove_file(&bundle).unwrap();
    let (done, said) = verify(&vkey());
    assert!(!done && said.contains("tile/entries/004.p/76: it is missing"), "{said}");

    more[999] = leaf(5).encode();
    Log::of(more.clone()).write(log.as_ref());
    let (done, said) = verify(&vkey());
    assert!(!done && said.contains("its first 1000 leaves have another root now"), "{said}");
    Log::sized(999).write(log.as_ref());
    let (done, said) = verify(&vkey());
    assert!(!done && said.contains("went back from 1000 leaves"), "{said}");
    let other = LogKey::generate(ORIGIN, [2; 32]).unwrap().verifier().to_string();
    let (done, said) = verify(&other);
    assert!(!done && said.contains("no checkpoint to trust"), "{said}");
    assert_eq!(fs::read_to_string(kept).unwrap(), before);

    let (done, said) = propusk(&["audit", "verify", log, "--key", "no key"]);
    assert!(!done && said.contains("a verifier key is"), "{said}");
}

/// Serves a folder over HTTP on a thread of its own; gives its address.
fn serve_files(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let folder = folder.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let mut first = String::new();
                    reader.read_line(&mut first).unwrap();
                    let mut line = first.clone();
                    while line.trim() != "" {
                        line.clear();
                        reader.read_line(&mut line).unwrap();
                    }
                    let Some(path) = first.split(' ').nth(1) else { return };
                    let (status, body) = match fs::read(folder.join(&path[1..])) {
                        Ok(body) => ("200 OK", body),
                        Err(_) => ("404 Not Found", Vec::new()),
                    };
                    let head =
                        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
                    reader.get_mut().write_all(&[head.as_bytes(), &body].concat()).unwrap();
                }
            });
        }
    });
    format!("http://{address}")
}

#[test]
fn a_log_at_an_address_is_verified_as_one_in_a_folder_is() {
    let folder = folder("remote");
    Log::sized(1000).write(&folder.join("log"));
    let url = format!("{}/log/", serve_files(folder.clone()));
    let (done, said) = propusk(&["audit", "verify", &url, "--key", &vkey()]);
    assert!(done && said.contains("in order: 1000 leaves"), "{said}");
    fs::write(folder.join("log/tile/0/001"), [0; 8193]).unwrap();
    let (done, said) = propusk(&["audit", "verify", &url, "--key", &vkey()]);
    assert!(!done && said.contains("cannot read tile/0/001"), "{said}");
    fs::remove_file(folder.join("log/tile/0/001")).unwrap();
    let (done, said) = propusk(&["audit", "verify", &url, "--key", &vkey()]);
    assert!(!done && said.contains("tile/0/001: it is missing"), "{said}");
}

#[test]
fn a_receipt_says_in_plain_words_what_it_proves_or_what_is_wrong() {
    let file = folder("receipt").join("it.tlog-proof");
    let log = Log::sized(700);
    let opening = canonical(&private(600)).unwrap();
    let full = extra(&leaf(600), Some((&salt(600), &opening)));
    let witness = LogKey::generate("witness.example/w1", [7; 32]).unwrap();
    let cosigned = {
        let note = log.note();
        let line = witness.cosignature_line(note::text(&note).unwrap(), AT + 3);
        note::append(&note, &line).unwrap()
    };
    let tell = |text: &str, keys: &[&VerifierKey]| {
        fs::write(&file, text).unwrap();
        let mut arguments = vec!["audit".to_owned(), "receipt".to_owned()];
        arguments.push(file.to_str().unwrap().to_owned());
        for key in keys {
            arguments.extend(["--key".to_owned(), key.to_string()]);
        }
        propusk(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let key = &keys().keys()[0].verifier();
    let fresh = &keys().keys()[0].freshness_verifier();

    let (done, said) = tell(
        &log.receipt(600, full.clone(), cosigned),
        &[key, fresh, &witness.cosigner_verifier()],
    );
    assert!(done, "{said}");
    insta::assert_snapshot!(said, @r#"
    The receipt is valid. It proves that this happened:

      event        accepted (00000000-0000-0000-0000-000000000258)
      when         2026-11-24 10:00:00.123456 UTC
      application  00000000-0000-0000-0000-000000000003
      by           officer (account 00000000-0000-0000-0000-000000000002)
      command      accept
      state        submitted, then checking
      number       4 in the application's history
      definition   patent, version 1
      office       77

    It stands in a public log:

      log          log.example/work
      place        leaf 600 of 700 (counted from 0)
      signed by    log.example/work+bf504437+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c
      current at   2026-11-25 09:46:40 UTC, as the log itself says
      cosigned by  witness.example/w1 at 2026-11-25 09:46:43 UTC

    The log committed to this content:

    {
      "note": "Всё в порядке"
    }
    "#);

    let (done, said) =
        tell(&log.receipt(600, full.clone(), log.note()), &[key, &witness.cosigner_verifier()]);
    assert!(done && said.contains("not cosigned by witness.example/w1"), "{said}");
    assert!(said.contains("No witness of yours vouches"), "{said}");
    let (done, said) = tell(&log.receipt(600, extra(&leaf(600), None), log.note()), &[key]);
    assert!(done && said.contains("The receipt has no content: it was erased"), "{said}");
    assert!(!said.contains(&APPLICATION.to_string()), "{said}");

    let elsewhere = log.receipt(601, full.clone(), log.note());
    let (done, said) = tell(&elsewhere, &[key]);
    assert!(
        !done && said.contains("proves nothing: the proof does not lead to the root"),
        "{said}"
    );
    let mut forged = private(600);
    forged["content"]["note"] = json!("Отказать");
    let forged = extra(&leaf(600), Some((&salt(600), &canonical(&forged).unwrap())));
    let (done, said) = tell(&log.receipt(600, forged, log.note()), &[key]);
    assert!(!done && said.contains("not what the log committed to"), "{said}");
    let (done, said) = tell(&log.receipt(600, full, log.note()), &[&witness.cosigner_verifier()]);
    assert!(!done && said.contains("not signed by any of the keys"), "{said}");
    let (done, said) = tell("hello\n", &[key]);
    assert!(
        !done && said.contains("does not begin with the line c2sp.org/tlog-proof@v1"),
        "{said}"
    );
}

/// A witness that serves; killed when dropped.
struct Serving {
    child: Child,
    url: String,
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn witness_command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_propusk"));
    command
        .args(["witness", "--listen", "127.0.0.1:0", "--log", &vkey(), "--key-file"])
        .arg(folder.join("key"))
        .arg("--directory")
        .arg(folder.join("state"))
        .stdin(Stdio::null());
    command
}

fn serve_witness(folder: &Path) -> Serving {
    let mut child =
        witness_command(folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.strip_prefix("propusk witnesses on ").unwrap().split(' ').next().unwrap();
    Serving { child, url: url.to_owned() }
}

/// Sends a request by hand and gives the whole answer.
fn raw(url: &str, request: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_witness_cosigns_what_continues_refuses_forks_and_remembers() {
    let folder = folder("witness");
    let key = LogKey::generate("witness.example/w1", [7; 32]).unwrap();
    fs::write(folder.join("key"), key.private_line()).unwrap();
    let mut serving = serve_witness(&folder);
    let ask = |serving: &Serving, old: u64, proof: &[Hash], note: &str| {
        let witness = Witness::parse(&format!("{} {}", key.cosigner_verifier(), serving.url));
        witness.unwrap().ask(old, proof, note)
    };
    let refused = |answer: Result<String, AskError>| match answer {
        Err(AskError::Refused { status, told }) => (status, told),
        other => panic!("{other:?}"),
    };
    let (small, large) = (Log::sized(300), Log::sized(700));

    // The first sight of the log, and its growth.
    let line = ask(&serving, 0, &[], &small.note()).unwrap();
    let all = [keys().verifiers(), vec![key.cosigner_verifier()]].concat();
    let cosigned = note::append(&small.note(), &line).unwrap();
    let signatures = note::open_checkpoint(&cosigned, &all).unwrap().signatures;
    assert!(signatures.last().unwrap().at.unwrap() > 1_700_000_000);
    assert_eq!(ask(&serving, 0, &[], &large.note()), Err(AskError::Known { size: 300 }));
    ask(&serving, 300, &large.consistency(300), &large.note()).unwrap();
    ask(&serving, 700, &[], &large.note()).unwrap();

    // It remembers over a kill, and shows what it cosigned.
    drop(serving);
    serving = serve_witness(&folder);
    assert_eq!(ask(&serving, 0, &[], &small.note()), Err(AskError::Known { size: 700 }));
    let path: String = {
        use sha2::{Digest as _, Sha256};
        Sha256::digest(ORIGIN).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let shown = raw(
        &serving.url,
        &format!("GET /{path}/checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n"),
    );
    let (head, body) = shown.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && head.contains("text/plain; charset=utf-8"),
        "{head}"
    );
    let signed = note::open_checkpoint(body, &all).unwrap();
    assert_eq!((signed.checkpoint.size, signed.signatures.len()), (700, 2));
    let none =
        raw(&serving.url, "GET /00/checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n");
    assert!(none.starts_with("HTTP/1.1 404"), "{none}");

    // Roll-back, fork, a proof that is none, another log, no signature, and rubbish.
    assert_eq!(refused(ask(&serving, 700, &[], &small.note())).0, 400);
    let mut leaves: Vec<Vec<u8>> = (0..900).map(|index| leaf(index).encode()).collect();
    leaves[5] = leaf(5000).encode();
    let fork = Log::of(leaves);
    let (status, told) = refused(ask(&serving, 700, &fork.consistency(700), &fork.note()));
    assert_eq!(status, 422);
    assert!(told.contains("the proof does not lead to the root of the older tree"), "{told}");
    let grown = Log::sized(900);
    assert_eq!(refused(ask(&serving, 700, &[], &grown.note())).0, 422);
    let stranger = LogKey::generate("other.example", [3; 32]).unwrap();
    let text = "other.example\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let other = note::join(text, &stranger.signature_line(text)).unwrap();
    assert_eq!(refused(ask(&serving, 0, &[], &other)).0, 404);
    let forged = LogKey::generate(ORIGIN, [3; 32]).unwrap();
    let text = note::text(&grown.note()).unwrap().to_owned();
    let forged = note::join(&text, &forged.signature_line(&text)).unwrap();
    assert_eq!(refused(ask(&serving, 700, &[], &forged)).0, 403);
    let rubbish = raw(
        &serving.url,
        "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 3\r\nConnection: close\r\n\r\nold",
    );
    assert!(rubbish.starts_with("HTTP/1.1 400"), "{rubbish}");
    let body = format!("old 0\n\n{}", small.note());
    let head = format!("Host: w\r\nContent-Length: {}\r\nConnection: close", body.len());
    let conflict =
        raw(&serving.url, &format!("POST /add-checkpoint HTTP/1.1\r\n{head}\r\n\r\n{body}"));
    assert!(conflict.starts_with("HTTP/1.1 409"), "{conflict}");
    assert!(
        conflict.to_ascii_lowercase().contains("content-type: text/x.tlog.size\r\n"),
        "{conflict}"
    );
    assert!(conflict.ends_with("\r\n\r\n700\n"), "{conflict}");
    let long = raw(
        &serving.url,
        "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 300000\r\nConnection: close\r\n\r\n",
    );
    assert!(long.starts_with("HTTP/1.1 413"), "{long}");

    // None of that changed what it knows: the log goes on.
    ask(&serving, 700, &grown.consistency(700), &grown.note()).unwrap();

    // A second one on the same state would forget what the first one sees.
    let second = witness_command(&folder).output().unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another witness uses"));

    // A state that was damaged, or is another witness's, is not believed.
    drop(serving);
    let state = folder.join("state").join(&path);
    let kept = fs::read_to_string(&state).unwrap();
    for bad in
        [kept.replace("\n900\n", "\n700\n"), keys().sign_text("x", &text).unwrap(), String::new()]
    {
        fs::write(&state, bad).unwrap();
        let output = witness_command(&folder).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("cosigned last"), "{output:?}");
    }
    fs::write(&state, kept).unwrap();
    let serving = serve_witness(&folder);
    ask(&serving, 900, &[], &grown.note()).unwrap();
}
