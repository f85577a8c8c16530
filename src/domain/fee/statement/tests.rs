use encoding_rs::{IBM866, WINDOWS_1251};
use proptest::prelude::*;

use super::*;

fn money(kopecks: i64) -> Money {
    Money::from_kopecks(kopecks).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

const CAMT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">
 <BkToCstmrStmt>
  <Stmt>
   <FrToDt><FrDtTm>2026-03-02T00:00:00</FrDtTm><ToDtTm>2026-03-03T23:59:59</ToDtTm></FrToDt>
   <TxsSummry><TtlNtries><NbOfNtries>3</NbOfNtries></TtlNtries></TxsSummry>
   <Ntry>
    <Amt Ccy="RUB">4200.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
    <BookgDt><Dt>2026-03-02</Dt></BookgDt>
    <NtryDtls><TxDtls>
     <Refs><EndToEndId>NOTPROVIDED</EndToEndId><TxId>pay_1</TxId></Refs>
     <RltdPties><Dbtr><Nm>Каримов &amp; Ко</Nm></Dbtr></RltdPties>
     <RmtInf><Strd><CdtrRefInf><Ref>18800000000000000018</Ref></CdtrRefInf></Strd></RmtInf>
    </TxDtls></NtryDtls>
   </Ntry>
   <Ntry>
    <Amt Ccy="RUB">150.5</Amt><CdtDbtInd>CRDT</CdtDbtInd>
    <BookgDt><DtTm>2026-03-03T10:00:00+03:00</DtTm></BookgDt>
    <NtryDtls>
     <TxDtls><Refs><TxId>pay_2</TxId></Refs><Amt Ccy="RUB">100.00</Amt></TxDtls>
     <TxDtls><Refs><TxId>pay_3</TxId></Refs><Amt Ccy="RUB">50.50</Amt>
      <RmtInf><Ustrd>Налог УИН18800000000000000026///</Ustrd></RmtInf></TxDtls>
    </NtryDtls>
   </Ntry>
   <Ntry>
    <Amt Ccy="RUB">7.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><BookgDt><Dt>2026-03-03</Dt></BookgDt>
   </Ntry>
  </Stmt>
 </BkToCstmrStmt>
</Document>
"#;

const ONE_C: &str = "1CClientBankExchange
ВерсияФормата=1.03
Кодировка=Windows
ДатаНачала=02.03.2026
ДатаКонца=03.03.2026
РасчСчет=40101810200045250001
СекцияДокумент=Платежное поручение
Номер=17
Дата=02.03.2026
Сумма=4200.00
ПлательщикСчет=40817810000000000001
Плательщик1=Каримов Рустам
ПолучательСчет=40101810200045250001
ДатаПоступило=02.03.2026
ПоказательКБК=18810806000010000110
Код=18800000000000000018
НазначениеПлатежа=Государственная пошлина
КонецДокумента
СекцияДокумент=Платежное поручение
Номер=3
Дата=03.03.2026
Сумма=7
ПлательщикСчет=40101810200045250001
ДатаСписано=03.03.2026
КонецДокумента
КонецФайла
";

#[test]
fn a_camt_statement_is_read_with_every_transaction_and_its_line() {
    let read = Statement::parse(CAMT.as_bytes()).unwrap();
    assert_eq!((read.from, read.to), (day("2026-03-02"), day("2026-03-03")));
    assert_eq!(read.outgoing, 1);
    let lines: Vec<_> =
        read.lines.iter().map(|one| (one.id.as_str(), one.amount.kopecks(), one.line)).collect();
    assert_eq!(lines, [("pay_1", 420_000, 10), ("pay_2", 10_000, 20), ("pay_3", 5_050, 21)]);
    assert_eq!(read.lines[0].uin.as_deref(), Some("18800000000000000018"));
    assert_eq!(read.lines[0].payer.as_deref(), Some("Каримов & Ко"));
    assert_eq!(read.lines[2].uin.as_deref(), Some("18800000000000000026"));
}

#[test]
fn a_camt_statement_in_windows_1251_is_read_as_it_declares() {
    let text = CAMT.replace("UTF-8", "windows-1251");
    let read = Statement::parse(&WINDOWS_1251.encode(&text).0).unwrap();
    assert_eq!(read, Statement::parse(CAMT.as_bytes()).unwrap());
    let error = Statement::parse(&WINDOWS_1251.encode(CAMT).0).unwrap_err();
    assert_eq!(error.line, 12, "{error}");
}

#[test]
fn a_statement_of_1c_is_read_in_each_of_its_encodings() {
    let read = Statement::parse(ONE_C.as_bytes()).unwrap();
    assert_eq!((read.from, read.to, read.outgoing), (day("2026-03-02"), day("2026-03-03"), 1));
    let [line] = read.lines.as_slice() else { panic!("{read:?}") };
    assert_eq!((line.line, line.amount), (7, money(420_000)));
    assert_eq!(line.id, "1c-02.03.2026-17-40817810000000000001");
    assert_eq!(line.uin.as_deref(), Some("18800000000000000018"));
    assert_eq!(line.kbk.as_deref(), Some("18810806000010000110"));
    assert_eq!(line.payer.as_deref(), Some("Каримов Рустам"));
    for page in [WINDOWS_1251, IBM866] {
        assert_eq!(Statement::parse(&page.encode(ONE_C).0).unwrap(), read, "{}", page.name());
    }
    assert_eq!(Statement::parse(format!("\u{feff}{ONE_C}").as_bytes()).unwrap(), read);
}

/// What is said of a file in which the first `old` is `new`.
fn said(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old}");
    Statement::parse(text.replacen(old, new, 1).as_bytes()).unwrap_err().to_string()
}

#[test]
fn what_is_no_sound_statement_is_refused_by_line() {
    for (old, new, line, words) in [
        ("<Amt Ccy=\"RUB\">4200.00", "<Amt Ccy=\"USD\">4200.00", 7, "roubles"),
        ("4200.00", "4200.005", 7, "amount"),
        ("4200.00", "-1", 7, "amount"),
        ("CRDT", "BOTH", 8, "CdtDbtInd"),
        ("<Dt>2026-03-02", "<Dt>02.03.2026", 9, "day of booking"),
        ("NbOfNtries>3", "NbOfNtries>4", 6, "says 4 entries and has 3"),
        ("100.00", "100.01", 16, "add up to"),
        ("</Stmt>", "</Stm>", 28, "broken"),
        ("&amp;", "&evil;", 12, "entity"),
        ("<Document", "<!DOCTYPE x><Document", 2, "document type"),
    ] {
        let said = said(CAMT, old, new);
        assert!(said.starts_with(&format!("{line}: ")) && said.contains(words), "{new}: {said}");
    }
    for (old, new, line, words) in [
        ("Сумма=4200.00", "Сумма=много", 7, "Сумма"),
        ("Сумма=4200.00\n", "", 7, "has no Сумма"),
        ("ДатаНачала=02.03.2026", "ДатаНачала=2026-03-02", 4, "dd.mm.yyyy"),
        ("КонецДокумента\n", "", 18, "line 7 has no КонецДокумента"),
        ("КонецФайла\n", "", 25, "cut off"),
        ("КонецФайла\n", "КонецФайла\nСумма=1\n", 27, "more after"),
    ] {
        let said = said(ONE_C, old, new);
        assert!(said.starts_with(&format!("{line}: ")) && said.contains(words), "{new}: {said}");
    }
    for wrong in ["", "hello", "{}", "%PDF-1.7", "<html></html>", "1CClientBankExchange"] {
        assert!(Statement::parse(wrong.as_bytes()).is_err(), "{wrong}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    for text in [CAMT, ONE_C] {
        let end = text.trim_end().len();
        for cut in (0..end).filter(|cut| text.is_char_boundary(*cut)) {
            assert!(Statement::parse(&text.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
        assert!(Statement::parse(&text.as_bytes()[..end]).is_ok());
    }
}

// ── Comparison ────────────────────────────────────────────────────────────────────────────────────────────

fn line(id: &str, kopecks: i64, uin: Option<&str>) -> Line {
    Line {
        line: 1,
        id: id.to_owned(),
        amount: money(kopecks),
        booked_on: day("2026-03-02"),
        uin: uin.map(str::to_owned),
        kbk: None,
        payer: None,
    }
}

fn booked(id: &str, kopecks: i64, uin: Option<&str>, at: &str) -> Booked {
    Booked {
        provider_id: format!("provider:{id}"),
        uin: uin.map(str::to_owned),
        amount: money(kopecks),
        paid_at: at.parse().unwrap(),
    }
}

fn statement(lines: Vec<Line>) -> Statement {
    Statement { from: day("2026-03-02"), to: day("2026-03-02"), lines, outgoing: 0 }
}

#[test]
fn what_is_missing_on_either_side_differs_or_stands_twice_is_told_apart() {
    let at = "2026-03-02T09:00:00Z";
    let lines = vec![
        line("same", 100, None),
        line("other amount", 100, None),
        line("new", 100, None),
        line("same", 100, None),
        line("1c-a", 500, Some("U1")),
        line("1c-b", 600, Some("U2")),
    ];
    let ledger = [
        booked("same", 100, None, at),
        booked("other amount", 99, None, at),
        booked("gone", 100, None, at),
        // The last moment of the day before in Moscow: another statement's.
        booked("yesterday", 100, None, "2026-03-01T20:59:59Z"),
        booked("x", 500, Some("U1"), at),
        booked("y", 601, Some("U2"), at),
    ];
    let found = compare(&statement(lines), &ledger);
    let ids = |lines: &[Line]| lines.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(found.agreed, 2);
    assert_eq!(ids(&found.missing_in_ledger), ["new"]);
    assert_eq!(ids(&found.duplicates), ["same"]);
    let gone: Vec<&str> = found.missing_in_statement.iter().map(Booked::id).collect();
    assert_eq!(gone, ["gone"]);
    let differing: Vec<_> =
        found.differing.iter().map(|one| (one.statement.id.as_str(), one.ledger.id())).collect();
    assert_eq!(differing, [("other amount", "other amount"), ("1c-b", "y")]);
    assert!(!found.is_clean());
}

proptest! {
    #[test]
    fn a_statement_of_what_the_ledger_has_is_clean_in_any_order_and_each_loss_is_found(
        amounts in proptest::collection::vec(1i64..1_000_000, 1..40),
        lost in 0usize..40,
    ) {
        let name = |place: usize| format!("p{place}");
        let mut lines: Vec<Line> = amounts
            .iter()
            .enumerate()
            .map(|(place, kopecks)| line(&name(place), *kopecks, None))
            .collect();
        let ledger: Vec<Booked> = amounts
            .iter()
            .enumerate()
            .map(|(place, kopecks)| booked(&name(place), *kopecks, None, "2026-03-02T09:00:00Z"))
            .collect();
        lines.reverse();
        let clean = compare(&statement(lines.clone()), &ledger);
        prop_assert!(clean.is_clean());
        prop_assert_eq!(clean.agreed, amounts.len());
        let lost = lost % amounts.len();
        let gone = lines.remove(lost);
        let found = compare(&statement(lines.clone()), &ledger);
        prop_assert_eq!(found.missing_in_statement.len(), 1);
        prop_assert_eq!(found.missing_in_statement[0].id(), gone.id.as_str());
        lines.push(gone.clone());
        let fewer: Vec<Booked> =
            ledger.into_iter().filter(|one| one.id() != gone.id).collect();
        let found = compare(&statement(lines), &fewer);
        prop_assert_eq!(found.missing_in_ledger, vec![gone]);
    }

    #[test]
    fn no_bytes_make_the_reader_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC*") {
        let _ = Statement::parse(&bytes);
        let _ = Statement::parse(text.as_bytes());
        let _ = Statement::parse(format!("1CClientBankExchange\n{text}").as_bytes());
        let _ = Statement::parse(format!("<Document>{text}").as_bytes());
    }
}
