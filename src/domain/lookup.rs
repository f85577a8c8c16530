//! What an officer types to find an application of his unit, and the words under which each is kept for that.

use std::collections::BTreeSet;

use super::form::Form;
use super::identity::name;
use super::permit::PermitNumber;
use super::reference::Reference;

/// How many words of a question are looked at.
const WORDS: usize = 6;

/// Gives the words under which an application is found: the keys of the worker's names, and his passport's number.
#[must_use]
pub fn words(form: &Form) -> BTreeSet<String> {
    let mut words =
        form.person.as_ref().map(|one| name::keys(&one.full_name())).unwrap_or_default();
    words.extend(form.passport.as_ref().map(|passport| number(passport.number.as_str())));
    words
}

/// A question, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The reference that it is.
    pub reference: Option<Reference>,
    /// The permit's number that it may be.
    pub permit: Option<PermitNumber>,
    /// For each word, what the words of an application may begin with; all must be met. The one that says most is first.
    pub terms: Vec<Vec<String>>,
}

impl Lookup {
    /// Understands what was typed; `None` when there is neither a number nor a word of two letters in it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let reference = Reference::parse(text.trim()).ok();
        // Without a digit it may be a long name all the same.
        if reference.is_some() && text.contains(|c: char| c.is_ascii_digit()) {
            return Some(Self { reference, permit: None, terms: Vec::new() });
        }
        let tokens = tokens(text);
        let mut terms: Vec<Vec<String>> = Vec::new();
        let mut says_something = false;
        for token in tokens.iter().take(WORDS) {
            let term = if token.contains(|c: char| c.is_ascii_digit()) {
                vec![number(token)]
            } else {
                name::prefixes(token)
            };
            says_something |= token.chars().filter(|c| c.is_alphanumeric()).count() > 1;
            if !term.is_empty() && !terms.contains(&term) {
                terms.push(term);
            }
        }
        terms.sort_by_key(|term| std::cmp::Reverse(term.iter().map(String::len).min()));
        let permit = PermitNumber::parse(text.trim()).ok();
        (permit.is_some() || (says_something && !terms.is_empty())).then_some(Self {
            reference,
            permit,
            terms,
        })
    }
}

/// Splits what was typed at spaces; the parts of a number that was typed in groups are one token.
fn tokens(text: &str) -> Vec<String> {
    let is_number = |token: &str| token.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let mut tokens: Vec<String> = Vec::new();
    for part in text.split_whitespace() {
        match tokens.last_mut() {
            // A series of letters, then digits: AA 1234567; or digits alone: 45 10 123456.
            Some(last)
                if is_number(part)
                    && is_number(last.trim_start_matches(|c: char| c.is_ascii_alphabetic()))
                    && last.bytes().filter(u8::is_ascii_alphabetic).count() <= 3 =>
            {
                last.push_str(part);
            }
            _ => tokens.push(part.to_owned()),
        }
    }
    // A double name is two words, a number with a hyphen is one.
    tokens
        .iter()
        .flat_map(|token| {
            let split = !token.contains(|c: char| c.is_ascii_digit());
            token.split(move |c| split && c == '-').filter(|part| !part.is_empty())
        })
        .map(str::to_owned)
        .collect()
}

/// A number as it is kept: lower-case letters and digits alone.
pub fn number(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<Vec<String>> {
        Lookup::parse(text).map(|lookup| lookup.terms).unwrap_or_default()
    }

    #[test]
    fn names_and_passport_numbers_are_told_apart() {
        assert_eq!(terms("Хус юсуф"), [["iusuf"], ["hus"]]);
        assert_eq!(terms("Карим FA1234567"), [["fa1234567"], ["karim"]]);
        for typed in ["FA 1234567", "fa123-4567", "fa 123 4567"] {
            assert_eq!(terms(typed), [["fa1234567"]], "{typed}");
        }
        assert_eq!(terms("45 10 123456"), [["4510123456"]]);
        assert_eq!(terms("Мамин-Сибиряк"), [vec!["sibiriah", "sibiriak"], vec!["mamin"]]);
    }

    #[test]
    fn an_initial_narrows_but_does_not_stand_alone() {
        assert_eq!(terms("Рахмонов Д."), [vec!["rahmonov"], vec!["d", "e", "i"]]);
        for nothing in ["", " ", "Р", "…", "Р. Д."] {
            assert_eq!(Lookup::parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_reference_and_a_permit_number_are_recognised() {
        let reference = Reference::from_random([7; 8]);
        let found = Lookup::parse(&format!(" {} ", reference.as_str().to_lowercase())).unwrap();
        assert_eq!((found.reference, found.terms), (Some(reference), vec![]));
        let found = Lookup::parse("77-0000000016").unwrap();
        assert_eq!(found.permit, PermitNumber::parse("77-0000000016").ok());
        assert_eq!(found.terms, [["770000000016"]], "it may be a passport's number, too");
    }
}
