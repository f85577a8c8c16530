//! Permits that prove themselves: the QR, the published keys, the status list, and `propusk permit` without any office.

use std::fs;
use std::io::Read as _;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use flate2::read::GzDecoder;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use propusk::domain::permit::{PermitNumber, PermitStatus};
use propusk::permits::keys::{PermitKeys, PublishedKeys};
use propusk::permits::statement::{self, STATUS_LIST_PATH, Statement};
use propusk::permits::status_list::{self, Bits, Status};
use propusk::qr::Qr;
use propusk::storage::permits;
use serde_json::{Value, json};

use crate::support::app::{EMPLOYER, MIGRANT, OFFICER, Person, SENIOR, TestApp, permit_key};
use crate::support::db::test_dir;
use crate::support::drive::Case;

const JWKS: &str = "/.well-known/jwks.json";

/// The signed text of a case's permit.
async fn token(app: &TestApp, case: &Case, reader: Person) -> String {
    let call = app.get(&case.path("/permit/qr")).by(reader).header("accept", "application/jwt");
    call.send().await.expect(200).text()
}

async fn published(app: &TestApp) -> PublishedKeys {
    PublishedKeys::parse(&app.get(JWKS).send().await.expect(200).text()).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = test_dir(&format!("permits-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `propusk permit`; gives the exit code, and what it said on both outputs.
fn propusk(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_propusk"));
    let command = command.arg("permit").args(arguments).env_clear().stdin(Stdio::null());
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), said)
}

/// Reads a QR with a decoder that has nothing to do with ours.
fn zbar(image: &Path) -> String {
    let output = Command::new("zbarimg").args(["--quiet", "--raw"]).arg(image).output();
    let output = output.unwrap_or_else(|error| {
        panic!("zbarimg cannot be run ({error}); .ci/setup tests installs it (package zbar-tools)")
    });
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[actix_web::test]
async fn any_jose_library_verifies_a_permit_with_the_published_keys() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let permit = app.see(&case.id).await["permit"].clone();
    let token = token(&app, &case, MIGRANT).await;
    let keys: JwkSet = serde_json::from_value(app.get(JWKS).send().await.json()).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("permit+jwt"));
    let key = keys.find(&header.kid.unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::EdDSA);
    // The test's clock is not the machine's.
    (rules.validate_exp, rules.validate_nbf) = (false, false);
    let decoded =
        jsonwebtoken::decode::<Value>(&token, &DecodingKey::from_jwk(key).unwrap(), &rules);
    let number: PermitNumber = PermitNumber::parse(permit["number"].as_str().unwrap()).unwrap();
    // Issued on 2 March 2026 for a year; a day begins at 21:00 UTC in Moscow.
    let seconds = |at: &str| at.parse::<DateTime<Utc>>().unwrap().timestamp();
    assert_eq!(
        decoded.unwrap().claims,
        json!({
            "num": number, "ini": "КРА", "yob": 1990, "ter": "77", "occ": "7112",
            "nbf": seconds("2026-03-01T21:00:00Z"), "exp": seconds("2027-03-02T21:00:00Z"), "off": 180,
            "status": { "status_list": {
                "idx": number.serial(), "uri": "http://127.0.0.1:8080/v1/permits/status-list" } },
        })
    );
    assert_eq!(
        (permit["issuedOn"].as_str(), permit["endsOn"].as_str()),
        (Some("2026-03-02"), Some("2027-03-02"))
    );
}

#[actix_web::test]
async fn a_permit_is_drawn_the_same_for_its_holder_its_employer_and_the_office() {
    let app = TestApp::spawn().await;
    for (applicant, readers) in [(MIGRANT, [MIGRANT, OFFICER]), (EMPLOYER, [EMPLOYER, SENIOR])] {
        let case = app.in_force(applicant).await;
        let token = token(&app, &case, applicant).await;
        for kind in ["image/svg+xml", "image/png", "text/plain"] {
            let [one, other] = readers.map(|reader| app.get(&case.path("/permit/qr")).by(reader));
            let one = one.header("accept", kind).send().await.expect(200);
            let other = other.header("accept", kind).send().await.expect(200);
            assert_eq!(one.header("content-type"), Some(kind));
            assert_eq!(one.header("cache-control"), Some("no-store"));
            assert_eq!(one.body, other.body, "{kind}");
        }
        let like_best = "text/html, image/*;q=0.4, image/png;q=0.9, */*;q=0.1";
        let call = app.get(&case.path("/permit/qr")).by(applicant);
        let png = call.header("accept", like_best).send().await.expect(200);
        assert_eq!(png.body, Qr::new(&token).unwrap().png().unwrap());
        let svg = app.get(&case.path("/permit/qr")).by(applicant).send().await.expect(200);
        assert_eq!(svg.text(), Qr::new(&token).unwrap().svg());
        let call = app.get(&case.path("/permit/qr")).by(applicant).header("accept", "text/html");
        call.send().await.expect(406);
    }
}

#[actix_web::test]
async fn a_stranger_s_decoder_reads_the_qr_as_it_was_signed() {
    let app = TestApp::spawn().await;
    let case = app.in_force(MIGRANT).await;
    let call = app.get(&case.path("/permit/qr")).by(MIGRANT).header("accept", "image/png");
    let image = folder("zbar").join("permit.png");
    fs::write(&image, call.send().await.expect(200).body).unwrap();
    assert_eq!(zbar(&image), token(&app, &case, MIGRANT).await);
}

#[test]
fn a_photograph_of_a_printed_permit_is_read_by_a_stranger_s_decoder_and_by_ours() {
    let pocket = Pocket::new("photograph");
    let token = pocket.token();
    let printed = Qr::new(&token).unwrap().png().unwrap();
    // Pixels for a module: 25 mm fill a fifth of the width of a picture of 1,920 pixels, or less than a quarter of it.
    for (pixels, degrees) in [(4.0, 0.0), (4.0, 8.0), (5.0, -12.0)] {
        let image = pocket.put("photograph.png", photograph(&printed, pixels, degrees));
        assert_eq!(zbar(Path::new(&image)), token, "{pixels} pixels, {degrees} degrees");
        let (code, said) = pocket.verify(&image);
        assert_eq!(code, 0, "{pixels} pixels, {degrees} degrees: {said}");
    }
}

/// Takes a picture of what was printed: turned, with so many pixels for a module, a shadow to the right, and noise.
fn photograph(printed: &[u8], pixels: f64, degrees: f64) -> Vec<u8> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(printed));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut paper = vec![0; reader.output_buffer_size().unwrap()];
    let width = reader.next_frame(&mut paper).unwrap().width as usize;
    // The print has eight pixels a module.
    let scale = 8.0 / pixels;
    let side = (width as f64 / scale * 1.3) as usize;
    let (sin, cos) = degrees.to_radians().sin_cos();
    let mut noise = 1_u32;
    let mut picture = Vec::with_capacity(side * side);
    for place in 0..side * side {
        let mut light = 0.0;
        for part in 0..16 {
            let at = |whole: usize, part: usize| {
                (whole as f64 + (part as f64 + 0.5) / 4.0 - side as f64 / 2.0) * scale
            };
            let (x, y) = (at(place % side, part % 4), at(place / side, part / 4));
            let on_paper = |at: f64| {
                let at = at + width as f64 / 2.0;
                (at >= 0.0 && at < width as f64).then_some(at as usize)
            };
            let dot = on_paper(x * cos + y * sin).zip(on_paper(y * cos - x * sin));
            light += dot.map_or(255.0, |(x, y)| f64::from(paper[y * width + x]));
        }
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let shadow = 200.0 - 70.0 * (place % side) as f64 / side as f64;
        let grain = f64::from(noise >> 24) / 255.0 * 30.0;
        picture.push((20.0 + light / 16.0 / 255.0 * shadow + grain) as u8);
    }
    paint(side, &picture)
}

/// Writes a square picture in shades of grey.
fn paint(side: usize, picture: &[u8]) -> Vec<u8> {
    let side = u32::try_from(side).unwrap();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(picture).unwrap();
    bytes
}

#[actix_web::test]
async fn only_a_permit_that_is_not_over_has_a_qr() {
    let app = TestApp::spawn().await;
    let case = app.granted(MIGRANT).await;
    let get = || app.get(&case.path("/permit/qr")).by(MIGRANT).send();
    get().await.expect(409).problem("wrong-state");
    app.pay(&case.id).await;
    app.command(OFFICER, &case.id, json!({ "command": "handOver" })).await.expect(200);
    get().await.expect(200);
    let sql = app.sql().await;
    let lapse = "UPDATE permits SET status = 'lapsed', closed_on = '2026-04-03'";
    sql.execute(lapse, &[]).await.unwrap();
    assert_eq!(get().await.expect(409).problem("wrong-state")["permitStatus"], "lapsed");
}

#[actix_web::test]
async fn the_published_keys_are_told_apart_and_can_be_cached() {
    let app = TestApp::spawn().await;
    let reply = app.get(JWKS).header("origin", "https://police.example").send().await.expect(200);
    let keys = reply.json()["keys"].as_array().unwrap().clone();
    let purposes: Vec<&Value> = keys.iter().map(|key| &key["purpose"]).collect();
    assert_eq!(purposes, ["permits", "sessions"]);
    assert_eq!(keys[0]["nbf"], 1_772_344_800);
    assert_eq!(keys[0]["kid"].as_str().unwrap().len(), 8);
    for key in &keys {
        assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
        assert_eq!((&key["alg"], &key["use"]), (&json!("EdDSA"), &json!("sig")));
        assert!(key.get("d").is_none(), "a private key is published");
    }
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let etag = reply.header("etag").unwrap();
    let again = app.get(JWKS).header("if-none-match", etag).send().await.expect(304);
    assert!(again.body.is_empty());
    // The key of access tokens signs no permits.
    let session = keys[1]["kid"].as_str().unwrap();
    assert!(published(&app).await.of_permits(session).is_none());
}

#[actix_web::test]
async fn the_status_list_says_what_the_office_says_on_line() {
    let app = TestApp::spawn().await;
    let unpaid = app.in_force(MIGRANT).await;
    let suspended = app.in_force(EMPLOYER).await;
    let annulled = app.in_force(EMPLOYER).await;
    let cases = [&unpaid, &suspended, &annulled];
    let mut numbers = Vec::new();
    for case in cases {
        let number = app.see(&case.id).await["permit"]["number"].as_str().unwrap().to_owned();
        numbers.push(PermitNumber::parse(&number).unwrap());
    }
    let said = async || {
        let text = app.get(STATUS_LIST_PATH).send().await.expect(200).text();
        let keys = published(&app).await;
        let list = status_list::open(&text, &keys, app.now()).unwrap();
        assert_eq!(list.uri, format!("{}{STATUS_LIST_PATH}", app.app.public_url));
        let mut all = Vec::new();
        for number in &numbers {
            let path = format!("/v1/permits/{number}");
            let on_line = app.get(&path).send().await.expect(200).json();
            let listed = list.bits.get(number.serial()).unwrap();
            assert_eq!(listed == Status::Valid, on_line["valid"] == true, "{number}: {on_line}");
            all.push((listed, on_line["reason"].as_str().unwrap().to_owned()));
        }
        // Places of permits that were never issued prove nothing.
        assert_eq!(list.bits.get(0), Some(Status::Invalid));
        all
    };
    let in_force = (Status::Valid, "inForce".to_owned());
    assert_eq!(said().await, [in_force.clone(), in_force.clone(), in_force.clone()]);
    let sql = app.sql().await;
    for (number, change) in [
        (&numbers[1], "status = 'suspended'"),
        (&numbers[2], "status = 'annulled', closed_on = '2026-03-02'"),
    ] {
        let change = format!("UPDATE permits SET {change} WHERE number = '{number}'");
        sql.execute(&change, &[]).await.unwrap();
    }
    // The list is made anew with the next minute; until then it says what it said.
    let before = app.get(STATUS_LIST_PATH).send().await.expect(200);
    app.advance(TimeDelta::seconds(60));
    let after = app.get(STATUS_LIST_PATH).send().await.expect(200);
    assert_ne!(before.body, after.body);
    let suspended = (Status::Suspended, "suspended".to_owned());
    let annulled = (Status::Invalid, "annulled".to_owned());
    assert_eq!(said().await, [in_force, suspended, annulled.clone()]);
    // Paid to 2 April; nobody has written down yet that they lapsed. What is paid runs on while a permit is suspended.
    app.advance(TimeDelta::days(32));
    let lapsed = (Status::Invalid, "lapsed".to_owned());
    assert_eq!(said().await, [lapsed.clone(), lapsed, annulled]);
}

#[actix_web::test]
async fn the_status_list_is_of_its_kind_cached_for_a_minute_and_counted_against_the_caller() {
    let app = TestApp::spawn_with(|config| {
        config.public_lookups_per_minute = NonZeroU32::new(4).unwrap();
    })
    .await;
    let get = || app.get(STATUS_LIST_PATH);
    let reply = get().header("accept", "application/statuslist+jwt").send().await.expect(200);
    assert_eq!(reply.header("content-type"), Some("application/statuslist+jwt"));
    assert_eq!(reply.header("cache-control"), Some("public, max-age=60"));
    let header = jsonwebtoken::decode_header(&reply.body).unwrap();
    assert_eq!(header.typ.as_deref(), Some("statuslist+jwt"));
    app.advance(TimeDelta::milliseconds(10));
    let packed = get().header("accept-encoding", "br, gzip;q=0.8").send().await.expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.header("vary"), Some("Accept-Encoding"));
    let mut unpacked = Vec::new();
    GzDecoder::new(&*packed.body).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, reply.body);
    let statements = app.app.db.statements();
    let etag = reply.header("etag").unwrap();
    get().header("if-none-match", etag).send().await.expect(304);
    assert_eq!(app.app.db.statements(), statements, "the list was made twice in a minute");
    let same = get().header("accept-encoding", "gzip;q=0").send().await.expect(200);
    assert_eq!(same.body, reply.body);
    get().send().await.expect(429).problem("too-many-requests");
}

#[actix_web::test]
async fn the_database_counts_days_as_the_domain_does() {
    let app = TestApp::spawn().await;
    let sql = app.sql().await;
    // Permits alone, without the applications that they belong to.
    sql.batch_execute("SET session_replication_role = replica").await.unwrap();
    sql.batch_execute("INSERT INTO units VALUES ('41', 'Kamchatka', '41', 'Asia/Kamchatka')")
        .await
        .unwrap();
    let today: NaiveDate = "2026-03-02".parse().unwrap();
    let days: Vec<Option<NaiveDate>> = [None, Some(0), Some(1), Some(2), Some(3)]
        .map(|days: Option<u64>| days.map(|days| today + Days::new(days) - Days::new(2)))
        .to_vec();
    let mut written = Vec::new();
    for (status, name) in [
        (PermitStatus::InForce, "inForce"),
        (PermitStatus::Suspended, "suspended"),
        (PermitStatus::Lapsed, "lapsed"),
        (PermitStatus::Expired, "expired"),
        (PermitStatus::Annulled, "annulled"),
        (PermitStatus::Superseded, "superseded"),
    ] {
        for territory in ["77", "41"] {
            for ends_on in days.iter().flatten() {
                for paid in days.iter().filter(|paid| paid.is_none_or(|paid| paid <= *ends_on)) {
                    let serial = 8190 + written.len() as u64;
                    let number = PermitNumber::compose(territory, serial);
                    let over = !["inForce", "suspended"].contains(&name);
                    sql.execute(
                        "INSERT INTO permits (number, application_id, status, holder_name, territory, issued_on, \
                         paid_through, ends_on, closed_on) \
                         VALUES ($1, gen_random_uuid(), $2, 'A', $3, '2026-01-01', $4::text::date, $5::text::date, $6::text::date)",
                        &[
                            &number.as_str(),
                            &name,
                            &territory,
                            &paid.map(|day| day.to_string()),
                            &ends_on.to_string(),
                            &over.then(|| ends_on.to_string()),
                        ],
                    )
                    .await
                    .unwrap();
                    written.push((serial, status, territory, *paid, *ends_on));
                }
            }
        }
    }
    // Noon in Moscow is the evening in Kamchatka; at three in the afternoon its next day has begun.
    for hours in [0, 3] {
        let now = app.now() + TimeDelta::hours(hours);
        let mut listed = Bits::default();
        let mut conn = app.app.db.conn().await.unwrap();
        permits::each_status(&mut conn, now, |place, status| listed.set(place, status.into()))
            .await
            .unwrap();
        drop(conn);
        for (serial, status, territory, paid, ends_on) in &written {
            let zone = if *territory == "77" {
                chrono_tz::Europe::Moscow
            } else {
                chrono_tz::Asia::Kamchatka
            };
            let day = now.with_timezone(&zone).date_naive();
            let stands: Status = status.on(day, *paid, *ends_on).into();
            let what = format!("{status:?} {territory} paid {paid:?} ends {ends_on} on {day}");
            assert_eq!(listed.get(*serial), Some(stands), "{what}");
        }
    }
    assert!(written.len() > 150, "{}", written.len());
}

// ── Without an office ─────────────────────────────────────────────────────────────────────────────────────

/// A permit, the keys and the status list as somebody has them on a machine without a network.
struct Pocket {
    folder: PathBuf,
    keys: PermitKeys,
    statement: Statement,
}

const AT: &str = "2026-11-24T10:00:00Z";

impl Pocket {
    fn new(name: &str) -> Self {
        let keys = PermitKeys::parse(&permit_key()).unwrap();
        let statement = serde_json::from_value(json!({
            "num": PermitNumber::compose("77", 1), "ini": "КРА", "yob": 1990, "ter": "77", "occ": "7112",
            "nbf": 1_772_398_800, "exp": 1_804_021_200, "off": 180,
            "status": { "status_list": { "idx": 1, "uri": "https://permits.example.org/v1/permits/status-list" } },
        }));
        let pocket = Self { folder: folder(name), keys, statement: statement.unwrap() };
        let published = pocket.keys.published(AT.parse().unwrap());
        pocket.put("jwks.json", serde_json::to_string(&published).unwrap());
        pocket
    }

    fn token(&self) -> String {
        self.statement.sign(&self.keys)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.folder.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn image(&self, name: &str, text: &str) -> String {
        self.put(name, Qr::new(text).unwrap().png().unwrap())
    }

    fn list(&self, status: Status, uri: &str, at: &str, keys: &PermitKeys) -> String {
        let mut bits = Bits::default();
        bits.set(1, status);
        self.put("status-list", status_list::sign(&bits, uri, at.parse().unwrap(), keys))
    }

    fn verify_at(&self, permit: &str, at: &str, more: &[&str]) -> (i32, String) {
        let keys = self.folder.join("jwks.json");
        let all = [&["verify", permit, "--keys", keys.to_str().unwrap(), "--at", at][..], more];
        propusk(&all.concat())
    }

    fn verify(&self, permit: &str) -> (i32, String) {
        self.verify_at(permit, AT, &[])
    }
}

#[test]
fn a_permit_says_in_plain_words_what_it_proves_and_what_not() {
    let pocket = Pocket::new("plain");
    let token = pocket.token();
    let (code, said) = pocket.verify(&token);
    assert_eq!(code, 0, "{said}");
    insta::assert_snapshot!(said.replace(&pocket.keys.signer().kid, "KEY"), @r"
    The permit 77-0000000016 is genuine: the office's key KEY signed it.
      holder      initials КРА, born in 1990
      territory   federal subject 77
      profession  code 7112 (OKZ)
      term        from 2026-03-02 to 2027-03-02

    This does not prove how the permit stands now: whether its months are paid, or whether it
    was suspended or annulled since. For that give --status-list, or ask on line:
      https://permits.example.org/v1/permits/77-0000000016

    It does not prove who holds it in the hand: compare initials and year with the passport.
    ");
    // The same from a picture, and from a file with the text.
    for file in [pocket.image("permit.png", &token), pocket.put("permit.jwt", format!("{token}\n"))]
    {
        assert_eq!(pocket.verify(&file), (0, said.clone()));
    }
    let uri = &pocket.statement.status.status_list.uri;
    let list = pocket.list(Status::Valid, uri, "2026-11-24T09:30:00Z", &pocket.keys);
    let (code, said) = pocket.verify_at(&token, AT, &["--status-list", &list]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("in force, its months paid, at 2026-11-24 09:30 UTC"), "{said}");
}

#[test]
fn what_is_no_valid_permit_is_refused_by_name() {
    let pocket = Pocket::new("refused");
    let token = pocket.token();
    let other = PermitKeys::generate([9; 32], AT.parse().unwrap(), None);
    let resigned = pocket.statement.sign(&other);
    let header = token.split_once('.').unwrap().0;
    let posing = format!("{header}.{}", resigned.split_once('.').unwrap().1);
    let picture = pocket.image("shop.png", "https://shop.example/offer");
    let blank = pocket.put("blank.png", paint(64, &[255; 64 * 64]));
    for (permit, reason) in [
        (posing, "forged or was altered"),
        (token[..token.len() - 20].to_owned(), "it was cut"),
        (token[..token.rfind('.').unwrap()].to_owned(), "it was cut"),
        (resigned, "is not among the office's keys"),
        (pocket.put("letter.pdf", "%PDF-1.7 no image"), "it is no image"),
        (blank, "no QR can be read"),
        (picture, "is not one of a permit"),
        (pocket.image("cut.png", &token[..token.len() - 1]), "it was cut"),
    ] {
        let (code, said) = pocket.verify(&permit);
        assert_eq!(code, 1, "{reason}: {said}");
        assert!(said.contains(reason), "{reason}: {said}");
    }
    for (at, reason) in [
        ("2026-03-01T20:59:59Z", "not valid yet: its first day is 2026-03-02"),
        ("2027-03-02T21:00:00Z", "expired: its last day was 2027-03-02"),
    ] {
        let (code, said) = pocket.verify_at(&token, at, &[]);
        assert!(code == 1 && said.contains(reason), "{said}");
    }
}

#[test]
fn a_status_list_decides_and_is_itself_verified() {
    let pocket = Pocket::new("list");
    let token = pocket.token();
    let uri = pocket.statement.status.status_list.uri.clone();
    let other = PermitKeys::generate([9; 32], AT.parse().unwrap(), None);
    let morning = "2026-11-24T09:30:00Z";
    for (status, uri, at, keys, reason) in [
        (Status::Suspended, &*uri, morning, &pocket.keys, "says that it is suspended"),
        (Status::Invalid, &uri, morning, &pocket.keys, "says that it is no longer in force"),
        (Status::Valid, &uri, morning, &other, "is not among the office's keys"),
        (Status::Valid, &uri, "2026-11-23T09:30:00Z", &pocket.keys, "fetch it anew"),
        (Status::Valid, &uri, "2026-11-24T11:00:00Z", &pocket.keys, "still to come"),
        (
            Status::Valid,
            "https://other.example/list",
            morning,
            &pocket.keys,
            "its status is in the list",
        ),
    ] {
        let list = pocket.list(status, uri, at, keys);
        let (code, said) = pocket.verify_at(&token, AT, &["--status-list", &list]);
        assert!(code == 1 && said.contains(reason), "{reason}: {code} {said}");
    }
    // A list without the permit, and a permit in place of a list.
    let empty = status_list::sign(&Bits::default(), &uri, morning.parse().unwrap(), &pocket.keys);
    for (list, reason) in [(empty, "does not have it"), (token.clone(), "it is not a status list")]
    {
        let list = pocket.put("status-list", list);
        let (code, said) = pocket.verify_at(&token, AT, &["--status-list", &list]);
        assert!(code == 1 && said.contains(reason), "{reason}: {code} {said}");
    }
}

#[test]
fn wrong_use_is_told_from_a_permit_that_is_not_valid() {
    let pocket = Pocket::new("usage");
    let token = pocket.token();
    for (permit, keys, reason) in [
        (&*token, "no-such-file", "cannot read no-such-file"),
        (
            &token,
            &pocket.put("empty.json", "{\"keys\":[]}"),
            "no Ed25519 key whose purpose is permits",
        ),
        (&token, &pocket.put("no.json", "keys"), "line 1 is not what a JWK set has there"),
        ("77-0000000016", pocket.folder.join("jwks.json").to_str().unwrap(), "neither the text"),
    ] {
        let (code, said) = propusk(&["verify", permit, "--keys", keys]);
        assert!(code == 2 && said.contains(reason), "{reason}: {code} {said}");
    }
    assert_eq!(propusk(&["verify", &token]).0, 2);
}

#[test]
fn keys_are_made_rotated_and_retired_by_hand_and_old_permits_stay_good() {
    let folder = folder("keys");
    let file = folder.join("permit.key");
    let path = file.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let (code, said) = propusk(&[&["key"][..], arguments].concat());
        assert_eq!(code, 0, "{said}");
        said
    };
    let load = || PermitKeys::parse(&fs::read_to_string(&file).unwrap()).unwrap();
    assert!(run(&["new", path]).contains("PROPUSK_PERMIT_KEY_FILE"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, said) = propusk(&["key", "new", path]);
    assert!(code == 1 && said.contains("is there already"), "{said}");
    let old = load();
    let now = DateTime::from_timestamp(old.signer().nbf.unwrap(), 0).unwrap();
    let mut statement = Pocket::new("keys-statement").statement;
    statement.nbf = (now - TimeDelta::days(40)).timestamp();
    statement.exp = (now + TimeDelta::days(300)).timestamp();
    let token = statement.sign(&old);
    assert!(run(&["rotate", "--finish", path]).contains("nothing to retire"));

    assert!(run(&["rotate", path]).contains("signs nothing yet"));
    let both = load();
    assert_eq!(both.signer(), old.signer());
    assert!(propusk(&["key", "rotate", path]).1.contains("waits already"));
    let (code, said) = propusk(&["key", "rotate", "--finish", "--until", "2020-01-01", path]);
    assert!(code == 2 && said.contains("name a day to come"), "{said}");

    let said = run(&["rotate", "--finish", path]);
    let turned = load();
    assert_eq!(Some(turned.signer()), both.next());
    assert_eq!(turned.retired()[0].kid, old.signer().kid);
    // The longest term of a permit is three years: none that the old key signed is cut off.
    let until = DateTime::from_timestamp(turned.retired()[0].exp.unwrap(), 0).unwrap();
    assert!(until > now + TimeDelta::days(3 * 365), "{said}");
    assert!(said.contains(&until.date_naive().to_string()), "{said}");
    let keys = folder.join("jwks.json");
    fs::write(&keys, run(&["show", path])).unwrap();
    let (code, said) = propusk(&["verify", &token, "--keys", keys.to_str().unwrap()]);
    assert!(code == 0 && said.contains("has been retired since"), "{said}");
    // Made by whoever found the old key after that: of a permit that is said to be younger than the rotation.
    statement.nbf = (now + TimeDelta::days(1)).timestamp();
    let at = (now + TimeDelta::days(2)).to_rfc3339();
    let forged = statement.sign(&old);
    let (code, said) = propusk(&["verify", &forged, "--keys", keys.to_str().unwrap(), "--at", &at]);
    assert!(code == 1 && said.contains("had been retired before"), "{said}");
    assert!(statement::verify(&forged, &old.published(now), now + TimeDelta::days(2)).is_ok());
}
