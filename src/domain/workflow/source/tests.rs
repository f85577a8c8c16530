use super::*;

#[test]
fn the_lists_of_names_for_advice_are_those_that_are_read() {
    let names = Names { fees: vec!["x".to_owned()], ..Names::default() };
    for (list, key) in [(GUARDS.as_slice(), "guard"), (EFFECTS.as_slice(), "effect")] {
        for name in list {
            let texts = [
                format!("v = \"{name}\""),
                format!("v = {{ {name} = 1 }}"),
                format!("v = {{ {name} = \"x\" }}"),
                format!("v = {{ {name} = \"ready\" }}"),
                format!("v = {{ {name} = [\"KGZ\"] }}"),
            ];
            let read = texts.iter().find_map(|text| {
                let (mut reading, document) = Reading::begin("file", text);
                let value = document.get_ref().get("v").unwrap();
                let read = match key {
                    "guard" => guard(&mut reading, value, &names).map(|guard| guard.name()),
                    _ => effect(&mut reading, value, &names).map(|effect| effect.name()),
                };
                read.filter(|_| reading.finish().is_empty())
            });
            assert_eq!(read, Some(*name));
        }
    }
}

#[test]
fn a_name_with_the_wrong_kind_of_value_is_told_what_it_takes() {
    for (text, remedy) in [
        ("v = \"ageAtLeast\"", "give it a value in braces"),
        ("v = { formComplete = true }", "give it no value"),
        ("v = { ageAtLeast = \"18\" }", "give it a whole number from 0"),
        (
            "v = { ageAtLeast = 18, formComplete = 1 }",
            "give it a name, or one name with its value in braces",
        ),
    ] {
        let (mut reading, document) = Reading::begin("file", text);
        let value = document.get_ref().get("v").unwrap();
        assert_eq!(guard(&mut reading, value, &Names::default()), None);
        let problems = reading.finish();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].remedy, remedy);
    }
}

#[test]
fn no_text_makes_the_reader_fail_otherwise_than_by_problems() {
    for text in
        ["", "x", "[", "state = 1", "[[state]]", "transition = [1]", "[clock]\n[permit]\n", "\0"]
    {
        assert!(parse("file", text).is_err(), "{text:?}");
    }
}

#[test]
fn the_reference_names_every_command_guard_effect_and_message() {
    let reference = include_str!("../../../../workflows/README.md");
    let commands = CommandName::ALL.map(CommandName::name);
    let all = commands.iter().chain(&GUARDS).chain(&EFFECTS).chain(&MESSAGES);
    let told = |name: &str| {
        [format!("`{name}`"), format!("\"{name}\""), format!("{{ {name} = ")]
            .iter()
            .any(|written| reference.contains(written.as_str()))
    };
    let untold: Vec<&&str> = all.filter(|name| !told(name)).collect();
    assert_eq!(untold, Vec::<&&str>::new());
}
