use super::*;
use crate::domain::workflow::embedded;

const FILE: &str = "workflows/example.toml";
const SOUND: &str = include_str!("sound.toml");

fn embedded(name: &str) -> &'static str {
    embedded::FILES.iter().find(|(path, _)| path.ends_with(name)).map(|(_, text)| *text).unwrap()
}

fn problems(text: &str) -> Vec<Problem> {
    let rates = Rates::parse("rates.toml", embedded("rates.toml")).unwrap();
    let grounds = GroundCatalogue::parse("grounds.toml", embedded("grounds.toml")).unwrap();
    read(FILE, text, &rates, &grounds).err().unwrap_or_default()
}

/// Changes the sound text in one place. A change is what stands there after an anchor, and what then does.
fn changed(anchor: &str, old: &str, new: &str) -> String {
    let start = SOUND.find(anchor).unwrap();
    let (before, after) = SOUND.split_at(start);
    assert!(after.contains(old), "{anchor}: {old}");
    format!("{before}{}", after.replacen(old, new, 1))
}

/// The line of a text that stands after an anchor.
fn line_of(text: &str, anchor: &str, wanted: &str) -> usize {
    let start = text.find(anchor).unwrap();
    let at = start + text.get(start..).unwrap().find(wanted).unwrap();
    text.get(..at).unwrap().matches('\n').count() + 1
}

/// Asserts that a change of the sound text breaks one rule, once, in the line where `wanted` stands after
/// `at`, and gives the message.
#[track_caller]
fn breaks(rule: Rule, text: &str, at: &str, wanted: &str) -> String {
    let found = problems(text);
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    let lines = lines.join("\n");
    assert_eq!(found.len(), 1, "{lines}");
    assert_eq!(found[0].rule, rule, "{lines}");
    assert_eq!(found[0].line, line_of(text, at, wanted), "{lines}");
    assert_eq!(found[0].file, FILE);
    lines
}

#[test]
fn the_example_is_sound() {
    assert_eq!(problems(SOUND), []);
}

#[test]
fn w01_a_name_that_is_not_defined_is_reported_with_advice() {
    let text = changed("id = \"draft\"", "\"applicant\"", "\"aplicant\"");
    let message = breaks(Rule::W01, &text, "id = \"draft\"", "awaits");
    assert_eq!(
        message,
        "workflows/example.toml:35: W01: party \"aplicant\" is not defined; did you mean \"applicant\"?"
    );
    let text = changed("command = \"submit\"", "\"handedIn\"", "\"handedOut\"");
    // What leads nowhere makes other states unreachable, but only the cause is reported.
    breaks(Rule::W01, &text, "command = \"submit\"", "to =");
    let text = changed("command = \"submit\"", "formComplete", "formCompleted");
    breaks(Rule::W01, &text, "command = \"submit\"", "guards");
    let text = changed("command = \"refuse\"", "decideRefuse", "decideRefusal");
    breaks(Rule::W01, &text, "command = \"refuse\"", "effects");
    let text = changed("command = \"accept\"", "accepted", "received");
    breaks(Rule::W01, &text, "command = \"accept\"", "effects");
    let text = changed("id = \"asked\"", "expireInformation", "expireInfo");
    breaks(Rule::W01, &text, "id = \"asked\"", "deadlines");
    let text = changed("version", "person", "persons");
    breaks(Rule::W01, &text, "version", "required");
}

#[test]
fn w01_a_name_that_is_defined_twice_or_never_used_is_reported() {
    let text =
        changed("id = \"tax\"", "id = \"tax\"", "id = \"duty\"").replace("= \"tax\"", "= \"duty\"");
    let found = problems(&text);
    assert!(
        found[0].to_string().contains("fee \"duty\" is already defined in line 18"),
        "{found:?}"
    );
    let text = changed("command = \"submit\"", "guards = [\"formComplete\"]\n", "");
    breaks(Rule::W01, &text, "track", "track");
}

#[test]
fn w01_rates_and_grounds_must_exist() {
    let text = changed("id = \"duty\"", "patent.stateDuty", "patent.statDuty");
    let message = breaks(Rule::W01, &text, "[[fee]]", "[[fee]]");
    assert!(message.ends_with("did you mean \"patent.stateDuty\"?"), "{message}");
    let guards = "guards = [\"formComplete\", { salaryAtLeast = \"hqs.salary\" }]";
    let text = changed("command = \"submit\"", "guards = [\"formComplete\"]", guards);
    breaks(Rule::W01, &text, "\n[[transition]]\ncommand = \"submit\"", "[[transition]]");
    for ground in ["G77", "G90", "I01"] {
        let text = changed("command = \"refuse\"", "G04", ground);
        breaks(Rule::W01, &text, "\n[[transition]]\ncommand = \"refuse\"", "[[transition]]");
    }
}

#[test]
fn w01_what_a_command_carries_must_be_used_where_it_is() {
    let start = "\n[[transition]]\ncommand = \"recordFinding\"";
    let text = changed(start, "effects = [\"recordFinding\"]\n", "");
    breaks(Rule::W01, &text, start, "[[transition]]");
    let text = changed(start, "[\"recordFinding\"]", "[\"recordFinding\", \"bookPayment\"]");
    breaks(Rule::W01, &text, start, "[[transition]]");
    let text = changed(start, "effects", "guards = [\"answersComplete\"]\neffects");
    breaks(Rule::W01, &text, start, "[[transition]]");
}

#[test]
fn w02_there_is_one_initial_state_and_all_others_are_reached() {
    let island = "[[state]]\nid = \"island\"\nphase = \"closed\"\nfinal = true\n\
        wording.en = { stage = \"a\", next = \"b\" }\nwording.ru = { stage = \"a\", next = \"b\" }\n\n";
    let text = format!("{SOUND}\n{island}");
    breaks(Rule::W02, &text, "\n[[state]]\nid = \"island\"", "[[state]]");
    let text = changed("id = \"doubted\"", "phase", "initial = true\nphase");
    breaks(Rule::W02, &text, "\n[[state]]\nid = \"doubted\"", "[[state]]");
    let text = changed("id = \"draft\"", "initial = true\n", "");
    assert!(problems(&text).iter().any(|p| p.rule == Rule::W02 && p.line == 1));
}

#[test]
fn w03_from_every_state_the_end_can_be_reached() {
    let transition = "[[transition]]\ncommand = \"confirmAnnulment\"";
    let (before, after) = SOUND.split_at(SOUND.find(transition).unwrap());
    let rest = after.get(after.find("[[transition]]\ncommand = \"expire\"").unwrap()..).unwrap();
    let text = format!("{before}{rest}");
    breaks(Rule::W03, &text, "\n[[state]]\nid = \"doubted\"", "[[state]]");
    let text = changed("command = \"expire\"", "[\"inForce\"]", "[\"inForce\", \"closed\"]");
    assert!(problems(&text).iter().any(|p| p.rule == Rule::W03 && p.message.contains("final")));
}

#[test]
fn w04_a_state_waits_for_someone_until_some_day_or_says_why_not() {
    let start = "\n[[state]]\nid = \"ready\"";
    let text = changed(start, "no_deadline = \"the law sets none\"\n", "");
    breaks(Rule::W04, &text, start, "[[state]]");
    let text = changed(start, "awaits = \"applicant\"\n", "");
    breaks(Rule::W04, &text, start, "[[state]]");
    let start = "\n[[state]]\nid = \"closed\"";
    let text = changed(start, "final = true", "final = true\nawaits = \"office\"");
    breaks(Rule::W04, &text, start, "[[state]]");
}

#[test]
fn w05_a_deadline_has_a_transition_of_the_timer_and_the_other_way_round() {
    let text =
        changed("command = \"escalate\"\nfrom", "[\"handedIn\", \"checking\"]", "[\"checking\"]");
    let message = breaks(Rule::W05, &text, "id = \"handedIn\"", "deadlines");
    assert!(message.contains("add a transition \"escalate\" from \"handedIn\""), "{message}");
    let text = changed("command = \"expire\"\nfrom", "guards = [\"deadlinePassed\"]\n", "");
    breaks(Rule::W05, &text, "id = \"inForce\"", "deadlines");
    let start = "[[transition]]\ncommand = \"escalate\"";
    let text = changed(start, "\"checking\"]", "\"checking\", \"ready\"]");
    breaks(Rule::W05, &text, start, "[[transition]]");
    let text = changed("id = \"handedIn\"", "{ workingDays = 1 }", "\"permitEnds\"");
    breaks(Rule::W05, &text, "id = \"handedIn\"", "deadlines");
}

#[test]
fn w06_two_transitions_of_one_command_exclude_each_other() {
    let text =
        changed("guards = [\"answersIncomplete\"]", "guards = [\"answersIncomplete\"]\n", "");
    let second = line_of(SOUND, "guards = [\"answersIncomplete\"]", "guards") - 4;
    let found = problems(&text);
    assert_eq!(found.iter().map(|p| (p.rule, p.line)).collect::<Vec<_>>(), [(Rule::W06, second)]);
    assert!(found[0].message.contains("from \"asked\""), "{}", found[0]);
}

#[test]
fn w07_nothing_comes_into_force_past_checks_fees_and_decision() {
    let text = changed("command = \"grant\"", "guards = [\"checksClear\"]\n", "");
    let message = breaks(Rule::W07, &text, "\n[[state]]\nid = \"inForce\"", "[[state]]");
    assert!(
        message.contains(
            "draft -submit-> handedIn -accept-> checking -grant-> granted -recordPayment-> ready \
             -handOver-> inForce"
        ),
        "{message}"
    );
    let start = "\n[[transition]]\ncommand = \"accept\"";
    let text = changed(start, "guards = [{ feeSettled = \"duty\" }]\n", "");
    breaks(Rule::W07, &text, start, "[[transition]]");
    let start = "\n[[transition]]\ncommand = \"handOver\"";
    let text = changed("from = [\"granted\"]", "guards = [{ paymentSettles = \"tax\" }]\n", "");
    breaks(Rule::W07, &text, start, "[[transition]]");
}

#[test]
fn w08_no_refusal_without_a_ground_and_no_decision_by_two_eyes() {
    let start = "\n[[transition]]\ncommand = \"refuse\"";
    let text = changed(start, "grounds = [\"G01\", \"G04\"]\n", "");
    breaks(Rule::W08, &text, start, "[[transition]]");
    let start = "\n[[transition]]\ncommand = \"grant\"";
    let text = changed(start, "four_eyes = [\"accept\", \"recordFinding\"]\n", "");
    breaks(Rule::W08, &text, start, "[[transition]]");
    let text = changed(start, "basis", "grounds = [\"G01\"]\nbasis");
    breaks(Rule::W08, &text, start, "[[transition]]");
    let start = "\n[[transition]]\ncommand = \"confirmAnnulment\"";
    let text = changed(start, "four_eyes = [\"proposeAnnulment\"]\n", "");
    breaks(Rule::W08, &text, start, "[[transition]]");
}

#[test]
fn w09_a_four_eyes_partner_has_acted_on_every_path() {
    let start = "\n[[transition]]\ncommand = \"handOver\"";
    // Nobody need have recorded a finding before the permit is handed over.
    let text = changed(start, "[\"recordPayment\"]", "[\"recordFinding\"]");
    breaks(Rule::W09, &text, start, "[[transition]]");
    let text = changed(start, "[\"recordPayment\"]", "[\"recordPayment\", \"confirmAnnulment\"]");
    breaks(Rule::W09, &text, start, "[[transition]]");
}

#[test]
fn w10_the_clock_starts_once_and_stands_still_only_for_the_applicant() {
    let start = "\n[[transition]]\ncommand = \"expireInformation\"";
    let text = changed(start, ", \"resumeClock\"", "");
    assert!(problems(&text).iter().all(|p| p.rule == Rule::W10));
    let start = "\n[[transition]]\ncommand = \"refuse\"";
    let text = changed(start, ", \"stopClock\"", "");
    breaks(Rule::W10, &text, start, "[[transition]]");
    let text = changed("id = \"asked\"", "\"applicant\"", "\"office\"");
    breaks(Rule::W10, &text, "\n[[state]]\nid = \"asked\"", "[[state]]");
    let text = changed("version", "stands_still_in = [\"asked\"], ", "");
    breaks(Rule::W10, &text, "\n[[state]]\nid = \"asked\"", "[[state]]");
    let start = "\n[[transition]]\ncommand = \"recordFinding\"";
    let text = changed(start, "[\"recordFinding\"]", "[\"recordFinding\", \"startClock\"]");
    breaks(Rule::W10, &text, start, "[[transition]]");
    let text = changed("version", "working_days = 10", "working_days = 0");
    breaks(Rule::W10, &text, "version", "clock");
}

#[test]
fn w11_everyone_who_acts_is_named_and_can_exist() {
    let start = "\n[[transition]]\ncommand = \"grant\"";
    let text = changed(start, "actors = [\"officer\"]\n", "");
    breaks(Rule::W11, &text, start, "[[transition]]");
    let text = changed(start, "[\"officer\"]", "[\"officer\", \"applicant\"]");
    let message = breaks(Rule::W11, &text, start, "[[transition]]");
    assert!(message.ends_with("use \"officer\" or \"seniorOfficer\""), "{message}");
    let text = changed(start, "Art. 7", " ");
    breaks(Rule::W11, &text, start, "[[transition]]");
    let start = "\n[[transition]]\ncommand = \"accept\"";
    let text = changed(start, "[\"officer\"]", "[\"officer\", \"payments\"]");
    breaks(Rule::W11, &text, start, "[[transition]]");
    let text = changed("version", "[\"migrant\"]", "[\"auditor\"]");
    breaks(Rule::W11, &text, "track", "track");
    let text = changed("version", "[\"migrant\"]", "[]");
    breaks(Rule::W11, &text, "track", "track");
}

/// The sound text with another check: a register's, or a local one.
fn with_check(check: &str) -> String {
    changed("id = \"passport\"", "\n[[fee]]", &format!("\n{check}\n[[fee]]"))
}

const LANGUAGE: &str = "[[check]]
id = \"language\"
title = { en = \"Language?\", ru = \"Язык?\" }
source = { register = \"educationDocuments\" }
sends = [\"person.familyName\"]
due_working_days = 2
blocking = { hit = \"ask\" }
[[check.reason]]
id = \"forged\"
means = \"refuse\"
title = { en = \"Forged\", ru = \"Поддельный\" }
grounds = [\"G04\"]
";

const OF_AGE: &str = "[[check]]
id = \"ofAge\"
title = { en = \"Of age?\", ru = \"Возраст?\" }
source = { local = \"age\" }
blocking = { hit = \"ask\" }
[[check.reason]]
id = \"underAge\"
means = \"ask\"
title = { en = \"Too young\", ru = \"Слишком молод\" }
";

#[test]
fn w01_a_check_sends_parts_of_the_form_and_names_grounds_to_refuse() {
    assert_eq!(problems(&with_check(LANGUAGE)), []);
    let at = "id = \"language\"";
    let broken = |old: &str, new: &str| with_check(&LANGUAGE.replacen(old, new, 1));
    let text = broken("person.familyName", "person.surname");
    breaks(Rule::W01, &text, at, "sends");
    let text = broken("sends = [\"person.familyName\"]\n", "");
    let message = breaks(Rule::W01, &text, "\n[[check]]\nid = \"language\"", "[[check]]");
    assert!(message.contains("sent nothing"), "{message}");
    let text = broken("{ register = \"educationDocuments\" }", "\"officer\"");
    breaks(Rule::W01, &text, "\n[[check]]\nid = \"language\"", "[[check]]");
    for ground in ["G77", "G90", "I01", "G10"] {
        let message = breaks(Rule::W01, &broken("G04", ground), at, "[[check.reason]]");
        assert!(message.contains(&format!("ground {ground}")), "{message}");
    }
    let text = broken("blocking = { hit = \"ask\" }\n", "");
    breaks(Rule::W01, &text, at, "[[check.reason]]");
    let twice = LANGUAGE.split("[[check.reason]]").nth(1).unwrap();
    let text = with_check(&format!("{LANGUAGE}[[check.reason]]{twice}"));
    let message = problems(&text);
    assert!(message[0].message.contains("\"forged\" is already defined"), "{message:?}");
}

#[test]
fn w01_a_local_check_has_its_guard_its_outcomes_and_its_reasons() {
    let guarded = |check: &str| {
        with_check(check).replacen("\"formComplete\"", "\"formComplete\", { ageAtLeast = 18 }", 1)
    };
    assert_eq!(problems(&guarded(OF_AGE)), []);
    let start = "\n[[check]]\nid = \"ofAge\"";
    let message = breaks(Rule::W01, &with_check(OF_AGE), start, "[[check]]");
    assert!(message.contains("no guard `ageAtLeast`"), "{message}");
    let text = guarded(&OF_AGE.replacen("underAge", "tooYoung", 1));
    breaks(Rule::W01, &text, start, "[[check.reason]]");
    let text = guarded(&OF_AGE.replacen("hit =", "timedOut =", 1));
    breaks(Rule::W01, &text, start, "[[check]]");
    let text = guarded(&OF_AGE.replacen("{ local = \"age\" }", "{ local = \"agee\" }", 1));
    let message = breaks(Rule::W01, &text, start, "source");
    assert!(message.contains("did you mean \"age\"?"), "{message}");
    let text = guarded(&OF_AGE.replacen("blocking", "due_working_days = 1\nblocking", 1));
    breaks(Rule::Syntax, &text, start, "due_working_days");
}

#[test]
fn w08_a_reason_to_refuse_names_a_ground() {
    let text = with_check(&LANGUAGE.replacen("grounds = [\"G04\"]\n", "", 1));
    breaks(Rule::W08, &text, "id = \"language\"", "[[check.reason]]");
    let text = with_check(&LANGUAGE.replacen(", ru = \"Поддельный\"", "", 1));
    breaks(Rule::W12, &text, "id = \"language\"", "[[check.reason]]");
}

#[test]
fn w12_every_state_and_title_is_worded_in_every_language() {
    let start = "\n[[state]]\nid = \"ready\"";
    let text = changed(start, "wording.ru = { stage = \"Готово\", next = \"Получите.\" }\n", "");
    let message = breaks(Rule::W12, &text, start, "[[state]]");
    assert!(message.contains("state \"ready\" has no wording in \"ru\""), "{message}");
    let text = changed(start, "Collect it.", " ");
    breaks(Rule::W12, &text, start, "[[state]]");
    let text = changed("id = \"passport\"", "en = \"Passport?\", ", "");
    breaks(Rule::W12, &text, "[[check]]", "[[check]]");
}

/// The patent, with one thing changed in the first transition of a command that leads from a state.
fn patent_with(command: &str, from: &str, old: &str, new: &str) -> (String, String) {
    let text = embedded("patent.toml");
    let start = format!("[[transition]]\ncommand = \"{command}\"\nfrom = [\"{from}\"");
    let (before, after) = text.split_at(text.find(&start).unwrap());
    let end = after.find("basis =").unwrap();
    assert!(after[..end].contains(old), "{command} from {from}: {old}");
    (format!("{before}{}", after.replacen(old, new, 1)), start)
}

#[test]
fn w13_a_correction_leads_back_to_where_it_was_by_another_and_with_a_trace() {
    let cases: &[(&str, &str, &str, &str, &str)] = &[
        // Who, and how long.
        ("undo", "refused", "[\"seniorOfficer\"]", "[\"officer\"]", "any officer"),
        ("undo", "refused", "{ decidedWithinMinutes = 60 }, ", "", "for ever"),
        ("undo", "refused", "\nfour_eyes = [\"refuse\"]", "", "gave \"refuse\""),
        ("correct", "awaitingPayment", "\nfour_eyes = [\"grant\"]", "", "gave \"grant\""),
        ("undo", "refused", ", { notify = \"undone\" }", "", "does not tell"),
        // Nothing but putting right.
        ("reopen", "refused", "\"reopenClock\"", "\"reopenClock\", \"openChecks\"", "`openChecks`"),
        // What registers were asked before it was over they are asked again, and nothing else is.
        ("undo", "refused", ", \"askOpenChecks\"", "", "nobody asks any more"),
        (
            "reopen",
            "withdrawn\"]\nto = \"checking",
            ", \"askOpenChecks\"",
            "",
            "nobody asks any more",
        ),
        (
            "undo",
            "intakeRefused",
            "[\"withdrawDecision\"",
            "[\"withdrawDecision\", \"askOpenChecks\"",
            "none can be answered",
        ),
        ("correct", "awaitingPayment", "\nactors", "\nto = \"ready\"\nactors", "another state"),
        (
            "correct",
            "awaitingPayment",
            "[\"awaitingPayment\"",
            "[\"checking\", \"awaitingPayment\"",
            "no decision to grant",
        ),
        // Where a decision or an end stands, and back to before it.
        (
            "undo",
            "awaitingPayment",
            "[\"awaitingPayment\"]",
            "[\"submitted\"]",
            "neither a decision nor an end",
        ),
        ("reopen", "refused", "\nto = \"checking\"", "", "leads nowhere"),
        (
            "courtOrder",
            "refused",
            "to = \"checking\"",
            "to = \"awaitingPayment\"",
            "could be given",
        ),
        (
            "reopen",
            "withdrawn\"]\nto = \"checking",
            "\"clockStarted\", ",
            "",
            "need never have been",
        ),
        ("undo", "refused", "\"withdrawDecision\", ", "", "does not `withdrawDecision`"),
        ("reopen", "refused", "\"withdrawDecision\", ", "", "lets it stand"),
        (
            "reopen",
            "withdrawn\"]\nto = \"checking",
            "[\"reopenClock\"",
            "[\"withdrawDecision\", \"reopenClock\"",
            "none leads to",
        ),
        // The clock, the charge, the permit, the rival.
        ("reopen", "refused", ", \"reopenClock\"", "", "leaves the clock stopped"),
        (
            "undo",
            "intakeRefused",
            "[\"withdrawDecision\"",
            "[\"withdrawDecision\", \"reopenClock\"",
            "where it can be not started",
        ),
        ("undo", "awaitingPayment", "\"annulOpenCharges\", ", "", "leaves the charge"),
        ("undo", "awaitingPayment", ", { nothingPaid = \"firstTax\" }", "", "paid in part"),
        ("courtOrder", "annulled", "guards = [\"permitLasts\"]\n", "", "term is over"),
        ("courtOrder", "annulled", "\"reinstatePermit\", ", "", "puts no permit back"),
        ("reopen", "refused", "guards = [\"noOtherOpenApplication\"]\n", "", "second application"),
    ];
    for (command, from, old, new, wanted) in cases {
        let (text, start) = patent_with(command, from, old, new);
        let line = line_of(embedded("patent.toml"), &start, "[[transition]]");
        let found = problems(&text);
        let told = found.iter().find(|one| one.message.contains(wanted));
        let told = told.unwrap_or_else(|| panic!("{command} from {from}, {new:?}: {found:?}"));
        assert_eq!(told.line, line, "{told}");
        // What an undo does is its essence, which W01 looks at first.
        if *wanted != "does not `withdrawDecision`" {
            assert_eq!(told.rule, Rule::W13, "{told}");
        }
        assert!(found.iter().all(|one| one.line == line), "{found:?}");
    }
}

#[test]
fn what_puts_right_stands_with_corrections_alone() {
    let text = embedded("patent.toml");
    for effect in
        ["reopenClock", "withdrawDecision", "correctForm", "reinstatePermit", "askOpenChecks"]
    {
        let text = text.replacen(
            "effects = [\"recordFinding\"]",
            &format!("effects = [\"recordFinding\", \"{effect}\"]"),
            1,
        );
        let found = problems(&text);
        assert!(found.iter().all(|one| one.rule == Rule::W01), "{effect}: {found:?}");
        assert_eq!(found.len(), 1, "{effect}: {found:?}");
    }
}

#[test]
fn a_file_with_three_mistakes_reports_all_three() {
    // An unknown effect (W01), a state without a deadline (W04), a text that was not translated (W12).
    let text = changed("command = \"grant\"", "stopClock", "stopClok")
        .replacen("no_deadline = \"the law sets none\"\n", "", 1)
        .replacen("wording.ru = { stage = \"Готово\", next = \"Получите.\" }\n", "", 1);
    let found: Vec<_> = problems(&text).iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "workflows/example.toml:64: W04: state \"granted\" has no deadline and no reason for none; add \
             `deadlines`, or say why not in `no_deadline`",
            "workflows/example.toml:71: W12: state \"ready\" has no wording in \"ru\"; add \
             wording.ru.stage and wording.ru.next",
            "workflows/example.toml:173: W01: effect \"stopClok\" is not defined; did you mean \
             \"stopClock\"?",
        ]
    );
}

#[test]
fn broken_toml_unknown_keys_and_wrong_types_are_all_reported() {
    let text = changed("id = \"ready\"", "phase", "fase")
        .replacen("version = 1", "version = \"one\"", 1)
        .replacen("due_working_days = 1", "due_working_days = ", 1);
    let found: Vec<_> = problems(&text).iter().map(|p| (p.line, p.rule)).collect();
    let phase = line_of(SOUND, "id = \"ready\"", "phase");
    for expected in [
        (2, Rule::Syntax),
        (line_of(SOUND, "[[check]]", "due_working_days"), Rule::Syntax),
        (phase, Rule::Syntax),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:?}");
    }
}

#[test]
fn paths_are_shortest_and_cover_every_state() {
    let definition = source::parse(FILE, SOUND).unwrap();
    let paths = paths(&definition);
    assert_eq!(paths.len(), definition.states.len());
    let lines: Vec<_> = paths.iter().map(ToString::to_string).collect();
    assert_eq!(lines[0], "draft");
    assert_eq!(lines[3], "draft -submit-> handedIn -accept-> checking -requestInformation-> asked");
}

// ── The permit's after-life ──────────────────────────────────────────────────────────────────────────────────

#[test]
fn what_a_holder_asks_is_paid_anew_and_printed_by_another_than_who_booked_it() {
    let charge = ", { createCharge = \"changeDuty\" }";
    let cases: &[(&str, &str, &str, &str, Rule, &str)] = &[
        (
            "issueDuplicate",
            "duplicateRequested",
            "{ feeSettled = \"changeDuty\" }",
            "",
            Rule::W07,
            "settled",
        ),
        (
            "makeChange",
            "changeRequested",
            "{ feeSettled = \"changeDuty\" }, ",
            "",
            Rule::W07,
            "settled",
        ),
        ("requestDuplicate", "inForce", charge, "", Rule::W07, "an earlier request"),
        ("requestChange", "inForce", charge, "", Rule::W07, "an earlier request"),
        (
            "issueDuplicate",
            "duplicateRequested",
            "four_eyes = [\"recordPayment\"]\n",
            "",
            Rule::W09,
            "recordPayment",
        ),
        (
            "makeChange",
            "changeRequested",
            "four_eyes = [\"recordPayment\"]\n",
            "",
            Rule::W09,
            "recordPayment",
        ),
        (
            "resumePermit",
            "suspended",
            "four_eyes = [\"suspendPermit\"]\n",
            "",
            Rule::W08,
            "suspendPermit",
        ),
        (
            "confirmSurrender",
            "surrenderRequested",
            "[\"G90\"]",
            "[\"G90\", \"G01\"]",
            Rule::W08,
            "the one ground",
        ),
        (
            "suspendPermit",
            "inForce",
            "[\"seniorOfficer\"]",
            "[\"officer\"]",
            Rule::W11,
            "is not for",
        ),
        ("surrender", "inForce", "\"recordRequest\"", "", Rule::W01, "recordRequest"),
    ];
    for (command, from, old, new, rule, wanted) in cases {
        let (text, _) = patent_with(command, from, old, new);
        let found = problems(&text);
        let told = found.iter().any(|one| one.rule == *rule && one.message.contains(wanted));
        assert!(told, "{command} from {from}, {new:?}: {found:?}");
    }
}

#[test]
fn w15_a_complaint_is_made_once_and_answered_by_another() {
    let told = ", { notify = \"complaintUpheld\" }";
    let cases: &[(&str, &str, &str, &str, &str)] = &[
        ("complain", "refused", "\"notComplained\", ", "", "for ever"),
        ("complain", "refused", ", \"noOtherOpenApplication\"", "", "second application"),
        ("complain", "refused", "[\"refused\"]", "[\"refused\", \"withdrawn\"]", "one decision"),
        ("complain", "refused", "\"refusalAppealed\"", "\"intakeAppealed\"", "alone waits"),
        ("upholdComplaint", "refusalAppealed", "four_eyes = [\"refuse\"]\n", "", "who decided"),
        ("upholdComplaint", "refusalAppealed", told, "", "does not tell"),
        ("upholdComplaint", "refusalAppealed", "\"withdrawDecision\", ", "", "lets it stand"),
        ("upholdComplaint", "refusalAppealed", "\"reopenClock\", ", "", "clock stopped"),
        ("upholdComplaint", "refusalAppealed", ", \"askOpenChecks\"", "", "nobody asks"),
        ("upholdComplaint", "annulmentAppealed", "\"reinstatePermit\", ", "", "no permit back"),
        (
            "rejectComplaint",
            "refusalAppealed",
            "to = \"refused\"",
            "to = \"withdrawn\"",
            "the decision stands",
        ),
        ("rejectComplaint", "annulmentAppealed", ", \"confirmAnnulment\"", "", "who decided"),
    ];
    for (command, from, old, new, wanted) in cases {
        let (text, _) = patent_with(command, from, old, new);
        let found = problems(&text);
        let told = found.iter().any(|one| one.rule == Rule::W15 && one.message.contains(wanted));
        assert!(told, "{command} from {from}, {new:?}: {found:?}");
    }
}
