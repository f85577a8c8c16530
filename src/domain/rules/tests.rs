use super::*;
use crate::domain::form::SalaryPeriod;
use crate::domain::workflow::embedded;

fn embedded_rules() -> Rulebook {
    let files: Vec<_> =
        embedded::FILES.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
    match Rulebook::parse(&files) {
        Ok(rules) => rules,
        Err(problems) => {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"));
        }
    }
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn the_files_that_ship_pass_every_proof() {
    let rules = embedded_rules();
    let tracks: Vec<_> = rules.definitions.iter().map(|d| d.track.as_str()).collect();
    assert_eq!(tracks, ["patent", "highly-qualified-specialist"]);
    assert!(rules.definition("patent", 1).is_some());
    assert!(rules.current("patent", day("2025-08-31")).is_none());
    assert_eq!(rules.current("patent", day("2025-09-01")).unwrap().version, 1);
}

#[test]
fn the_tax_of_moscow_is_what_was_published() {
    let rates = embedded_rules().rates;
    let tax = |region, on, months| rates.price("patent.monthlyTax", region, day(on), months);
    let price = tax("77", "2025-10-01", 1).unwrap();
    assert_eq!(price.amount.to_string(), "8900.00 RUB");
    assert_eq!(
        price.rule,
        "tax.baseMonth 1200.00 RUB × tax.deflator 2.594 × tax.regionalCoefficient[77] 2.8592 \
         = 8900.11776, cut to 8900.00 RUB a month"
    );
    let price = tax("77", "2026-02-01", 3).unwrap();
    assert_eq!(price.amount.to_string(), "30000.00 RUB");
    assert!(price.rule.ends_with("cut to 10000.00 RUB a month × 3 months = 30000.00 RUB"));
    // 1,200 × 2.594 × 2.5 is 7,782 exactly; floating point would cut it to 7,781.
    assert_eq!(tax("50", "2025-10-01", 1).unwrap().amount.to_string(), "7782.00 RUB");
}

#[test]
fn a_rate_that_is_not_there_is_missing_and_named() {
    let rates = embedded_rules().rates;
    let missing = rates.price("patent.monthlyTax", "99", day("2025-10-01"), 1).unwrap_err();
    assert_eq!(missing.name, "tax.regionalCoefficient");
    assert_eq!(
        missing.to_string(),
        "There is no usable rate tax.regionalCoefficient for region 99 on 2025-10-01; an administrator \
         must add it to the rates."
    );
    let missing = rates.price("patent.monthlyTax", "77", day("2027-01-01"), 1).unwrap_err();
    assert_eq!((missing.name.as_str(), missing.region), ("tax.deflator", None));
    assert!(rates.price("nothing", "77", day("2025-10-01"), 1).is_err());
}

#[test]
fn the_duty_and_the_salary_change_on_their_days() {
    let rates = embedded_rules().rates;
    let duty = |on| rates.price("patent.stateDuty", "77", day(on), 1).unwrap().amount.kopecks();
    assert_eq!((duty("2025-08-31"), duty("2025-09-01")), (0, 420_000));
    let salary = |on| {
        let threshold = rates.threshold("hqs.minSalary", day(on)).unwrap();
        (threshold.amount.kopecks(), threshold.period)
    };
    assert_eq!(salary("2014-12-31"), (200_000_000, SalaryPeriod::Year));
    assert_eq!(salary("2024-02-29"), (16_700_000, SalaryPeriod::Month));
    assert_eq!(salary("2024-03-01"), (75_000_000, SalaryPeriod::Quarter));
    assert!(rates.threshold("hqs.minSalary", day("2010-06-30")).is_err());
}

#[test]
fn rates_report_every_mistake_with_its_line() {
    let text = "\
[[amount]]
name = \"a\"
from = 2025-01-01
kopecks = -1
source = \"s\"
confidence = \"C\"

[[amount]]
name = \"a\"
from = 2025-01-01
kopecks = 1
source = \"s\"
confidence = \"Z\"

[[factor]]
name = \"f\"
from = 2025-01-01
value = \"1,5\"
source = \"s\"
confidence = \"C\"

[[formula]]
name = \"m\"
from = 2025-01-01
base = \"b\"
factors = [\"f\"]
source = \"s\"
confidence = \"C\"
";
    let problems = Rates::parse("rates.toml", text).unwrap_err();
    let lines: Vec<_> = problems.iter().map(|p| (p.line, p.rule)).collect();
    assert_eq!(
        lines,
        [(4, Rule::Syntax), (8, Rule::W01), (8, Rule::Syntax), (15, Rule::Syntax), (22, Rule::W01)]
    );
}

#[test]
fn a_missing_file_is_said_to_be_missing() {
    let problems = Rulebook::parse(&[]).unwrap_err();
    let files: Vec<_> = problems.iter().map(|p| p.file.as_str()).collect();
    assert_eq!(
        files,
        [
            "workflows/rates.toml",
            "workflows/grounds.toml",
            "workflows/requisites.toml",
            "workflows/retention.toml",
            "workflows/templates.toml",
            "workflows/restrictions.toml",
            "workflows/calendars/*.toml"
        ]
    );
}

#[test]
fn a_track_without_terms_of_retention_is_named_in_their_file() {
    let files: Vec<_> = embedded::FILES
        .iter()
        .map(|(path, text)| {
            let text = if *path == "workflows/retention.toml" {
                text.replace("\"patent\"", "\"patents\"")
            } else {
                (*text).to_owned()
            };
            ((*path).to_owned(), text)
        })
        .collect();
    let problems = Rulebook::parse(&files).unwrap_err();
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3);
    assert_eq!(
        told[0],
        "workflows/retention.toml:1: W01: the track \"patent\" has no term of retention for what is granted; add a [[term]] with outcome = \"granted\""
    );
}

#[test]
fn no_term_of_retention_that_ships_is_confirmed() {
    let rules = embedded_rules();
    assert_eq!(rules.retention.terms().len(), 6);
    assert!(rules.retention.terms().iter().all(|term| term.assumption));
}

#[test]
fn the_files_that_are_no_definitions_are_kept_by_their_names_within_workflows() {
    let mut names: Vec<_> = embedded_rules().files.into_iter().map(|file| file.name).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "calendars/russia-2024.toml",
            "calendars/russia-2025.toml",
            "calendars/russia-2026.toml",
            "calendars/russia-2027.toml",
            "grounds.toml",
            "rates.toml",
            "requisites.toml",
            "restrictions.toml",
            "retention.toml",
            "templates.toml",
        ]
    );
}

#[test]
fn a_template_for_a_track_that_there_is_not_is_named_in_its_file() {
    let change = |(path, text): &(&str, &str)| {
        let (old, new) = ("tracks = [\"highly-qualified-specialist\"]", "tracks = [\"patents\"]");
        let changed = *path == "workflows/templates.toml";
        let text = if changed { text.replace(old, new) } else { (*text).to_owned() };
        ((*path).to_owned(), text)
    };
    let files: Vec<_> = embedded::FILES.iter().map(change).collect();
    let told: Vec<_> =
        Rulebook::parse(&files).unwrap_err().iter().map(ToString::to_string).collect();
    let end = "W01: track \"patents\" is not defined; did you mean \"patent\"?";
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("workflows/templates.toml:") && told[0].ends_with(end), "{told:?}");
}

#[test]
fn a_stop_of_a_track_that_there_is_not_is_named_in_its_file() {
    let change = |(path, text): &(&str, &str)| {
        let changed = *path == "workflows/restrictions.toml";
        let text =
            if changed { text.replace("\"patent\"", "\"patents\"") } else { (*text).to_owned() };
        ((*path).to_owned(), text)
    };
    let files: Vec<_> = embedded::FILES.iter().map(change).collect();
    let told: Vec<_> =
        Rulebook::parse(&files).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "workflows/restrictions.toml:11: W01: track \"patents\" is not defined; did you mean \"patent\"?"
        ]
    );
}

#[test]
fn a_template_for_a_command_that_its_track_does_not_have_is_named_in_its_file() {
    let rules = embedded_rules();
    let mut patent = rules.definition("patent", 1).unwrap().clone();
    assert_eq!(rules.templates.problems_of("templates.toml", &patent), []);
    patent.transitions.retain(|one| one.command.name() != "proposeAnnulment");
    let problems = rules.templates.problems_of("templates.toml", &patent);
    let told: Vec<_> = problems.iter().map(|one| one.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "the template \"annulment\" is for 'proposeAnnulment', which version 1 of the track \"patent\" does not have"
        ]
    );
}
