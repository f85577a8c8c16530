//! Money: what is owed and to whom, what was paid, what is given back; never a kopeck apart.

use serde_json::json;

use crate::support::app::{EMPLOYER, MIGRANT, OFFICER, OTHER_MIGRANT, TestApp};

// ── Bills ─────────────────────────────────────────────────────────────────────────────────────────────────

#[actix_web::test]
async fn a_charge_names_its_payee_and_its_payment_order_can_be_scanned() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    let payee = &owed["payee"];
    assert_eq!(payee["oktmo"], "45000000", "{owed}");
    assert!(payee["kbk"].as_str().unwrap().starts_with("188"));

    let path = case.path(&format!("/charges/{}/qr", owed["id"].as_str().unwrap()));
    let ask = async |accept: &str| app.get(&path).by(MIGRANT).header("accept", accept).send().await;
    let reply = ask("text/plain").await.expect(200);
    let text = reply.text();
    let said = |key: &str, value: &str| {
        assert!(text.split('|').any(|part| part == format!("{key}={value}")), "{key}: {text}");
    };
    assert!(text.starts_with("ST00012|Name="), "{text}");
    said("Sum", &owed["outstanding"]["kopecks"].to_string());
    for (key, member) in [
        ("Name", "name"),
        ("PersonalAcc", "account"),
        ("BankName", "bank"),
        ("BIC", "bic"),
        ("CorrespAcc", "correspondentAccount"),
        ("PayeeINN", "inn"),
        ("KPP", "kpp"),
        ("CBC", "kbk"),
        ("OKTMO", "oktmo"),
        ("Purpose", "purpose"),
    ] {
        said(key, payee[member].as_str().unwrap());
    }
    said("UIN", owed["uin"].as_str().unwrap());
    said("TechCode", "05");

    let svg = ask("image/svg+xml, image/png").await.expect(200);
    assert_eq!(svg.header("content-type"), Some("image/svg+xml"));
    assert!(svg.text().starts_with("<svg "));
    assert_eq!(ask("*/*").await.expect(200).header("content-type"), Some("image/svg+xml"));
    let png = ask("image/png").await.expect(200);
    assert_eq!(png.header("content-type"), Some("image/png"));
    assert!(png.body.starts_with(b"\x89PNG\r\n"));
    ask("application/json").await.expect(406).problem("not-acceptable");

    // Nobody else's business, and nothing that is not there.
    app.get(&path).by(OTHER_MIGRANT).send().await.expect(404);
    app.get(&case.path("/charges/00000000-0000-7000-8000-000000000000/qr"))
        .by(MIGRANT)
        .send()
        .await
        .expect(404);
    app.get(&path).by(OFFICER).send().await.expect(200);

    app.pay(&case.id).await;
    ask("text/plain").await.expect(409).problem("wrong-state");
}

#[actix_web::test]
async fn a_charge_without_a_payee_has_no_payment_order() {
    let app = TestApp::spawn().await;
    let case = app.handed_in(MIGRANT).await;
    let owed = app.owed(&case.id).await;
    app.sql().await.execute("UPDATE charges SET requisites = NULL", &[]).await.unwrap();
    let path = case.path(&format!("/charges/{}/qr", owed["id"].as_str().unwrap()));
    let reply = app.get(&path).by(MIGRANT).send().await.expect(422);
    assert!(reply.problem("rule-refused")["detail"].as_str().unwrap().contains("payee"));
    assert_eq!(app.owed(&case.id).await.get("payee"), None);
}

#[actix_web::test]
async fn a_highly_qualified_specialists_employer_pays_under_another_code() {
    let app = TestApp::spawn().await;
    let case = app.draft(EMPLOYER, "highly-qualified-specialist").await;
    app.command(EMPLOYER, &case.id, json!({ "command": "submit" })).await.expect(200);
    let owed = app.owed(&case.id).await;
    assert_eq!(owed["payee"]["kbk"], "18810806000010017110", "{owed}");
}
