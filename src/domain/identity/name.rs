//! Names of people as officers look for them: one key for the spellings of one name in Cyrillic and Latin letters.
//!
//! A passport says YUSUPOV, IUSUPOV or JUSUPOV, its notarised translation Юсупов; Joʻrayev is Жўраев, Жураев and
//! Джураев. [`fold`] writes Cyrillic in Latin letters as ICAO Doc 9303 does (part 3, section 6) and then takes for one
//! what spellings take for each other. The key is for comparing alone: it is coarse on purpose, and nobody is shown it.

use std::collections::BTreeSet;

/// Letters that stand for other letters, the longest first where one begins another; applied until none applies.
///
/// `j` is й to one spelling (Jusupov) and ж to another (Jasur), `x` is х (Xasan) and кс (Maxim): what one letter can
/// mean is one.
const ONE: [(&str, &str); 22] = [
    ("dzh", "i"),
    ("dj", "i"),
    ("zh", "i"),
    ("j", "i"),
    ("y", "i"),
    ("tch", "ch"),
    ("ts", "c"),
    ("tz", "c"),
    ("kh", "h"),
    ("ks", "h"),
    ("x", "h"),
    ("gh", "g"),
    ("ph", "f"),
    ("th", "t"),
    ("ck", "k"),
    ("q", "k"),
    ("w", "v"),
    ("ng", "n"),
    ("iou", "iu"),
    ("ou", "u"),
    // Ye, ie and e are е; yo is ё, which is written е.
    ("ie", "e"),
    ("io", "e"),
];

/// Gives the key of a name: its words in order, each folded, with one space between them.
///
/// Two spellings of a name that differ in script, in the system of transliteration, in accents, apostrophes or doubled
/// letters have one key. Folding a key gives the key.
#[must_use]
pub fn fold(name: &str) -> String {
    words(name).join(" ")
}

/// Gives the folded words of a name, in order.
#[must_use]
pub fn words(name: &str) -> Vec<String> {
    split(name).map(|word| fold_word(word, 'u')).filter(|word| !word.is_empty()).collect()
}

/// Gives the keys under which a name is kept for search: its [`words`], and once more those with an Uzbek oʻ, which
/// machine-readable zones write as o and Russian translations as у.
#[must_use]
pub fn keys(name: &str) -> BTreeSet<String> {
    split(name)
        .flat_map(|word| ['u', 'o'].map(|vowel| fold_word(word, vowel)))
        .filter(|word| !word.is_empty())
        .collect()
}

/// Gives the beginnings that the keys of all words have which begin with `word`, none a beginning of another.
///
/// It can be several: `ak` begins Akbarov and, in Latin letters, Akhmedov, whose key begins with `ah`. Empty when no
/// letter is in it.
#[must_use]
pub fn prefixes(word: &str) -> Vec<String> {
    let word: String = word.chars().filter(|c| c.is_alphabetic() || is_mark(*c)).collect();
    let whole = fold_word(&word, 'u');
    if whole.is_empty() {
        return Vec::new();
    }
    let mut found = BTreeSet::from([whole]);
    // What comes next can change what the last letters stand for: as much as a rule takes, and a vowel after it.
    for next in 'a'..='z' {
        for then in ["", "h", "e", "o", "u", "he", "ho", "hou"] {
            found.insert(fold_word(&format!("{word}{next}{then}"), 'u'));
        }
    }
    let mut shortest: Vec<String> = Vec::new();
    // In order, a beginning comes right before what it begins.
    for one in found {
        if !shortest.last().is_some_and(|known| one.starts_with(known.as_str())) {
            shortest.push(one);
        }
    }
    shortest
}

/// Counts the letters to be changed, added, left out or exchanged with a neighbour to make one name of the other, both
/// folded; words may stand in another order.
#[must_use]
pub fn distance(one: &str, other: &str) -> usize {
    let (mut one, mut other) = (words(one), words(other));
    let as_written = edits(&one.join(" "), &other.join(" "));
    one.sort_unstable();
    other.sort_unstable();
    as_written.min(edits(&one.join(" "), &other.join(" ")))
}

/// Optimal string alignment: Levenshtein's distance with neighbours exchanged at the cost of one.
fn edits(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut earlier: Vec<usize> = Vec::new();
    let mut before: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, against) in other.iter().enumerate() {
            let mut least = (before[column] + usize::from(letter != against))
                .min(before[column + 1] + 1)
                .min(current[column] + 1);
            let exchanged =
                row > 0 && column > 0 && letter == &other[column - 1] && one[row - 1] == *against;
            if exchanged {
                least = least.min(earlier[column - 1] + 1);
            }
            current.push(least);
        }
        earlier = std::mem::replace(&mut before, current);
    }
    before.last().copied().unwrap_or_default()
}

fn split(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphabetic() && !is_mark(c)).filter(|word| !word.is_empty())
}

/// Apostrophes as they are typed, and accents that stand alone after their letter.
const fn is_mark(c: char) -> bool {
    matches!(c, '\'' | '`' | '´' | '‘' | '’' | 'ʻ' | 'ʼ' | 'ʹ' | 'ʺ' | '\u{300}'..='\u{36f}')
}

/// Folds one word; `vowel` is what stands for the Uzbek oʻ.
fn fold_word(word: &str, vowel: char) -> String {
    let mut latin = String::with_capacity(word.len());
    for c in word.chars().flat_map(char::to_lowercase) {
        if is_mark(c) {
            // oʻ is a letter of its own; gʻ is g, and elsewhere an apostrophe stands for a soft sign or a pause.
            if !('\u{300}'..='\u{36f}').contains(&c) && latin.ends_with('o') {
                latin.pop();
                latin.push(vowel);
            }
        } else if matches!(c, 'ў' | 'ӯ') {
            latin.push(vowel);
        } else if let Some(letters) = letters(c) {
            latin.push_str(letters);
        } else {
            latin.push(c);
        }
    }
    loop {
        let next = once(&latin);
        if next == latin {
            return next;
        }
        latin = next;
    }
}

/// Applies the rules once, from left to right, and writes doubled letters once.
fn once(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(c) = rest.chars().next() {
        let rule = ONE.iter().find(|(letters, _)| rest.starts_with(letters));
        let (taken, meant) =
            rule.map_or((c.len_utf8(), None), |(letters, one)| (letters.len(), Some(*one)));
        let (stands, after) = rest.split_at(taken);
        let meant = meant.unwrap_or(stands);
        if !(meant.len() == c.len_utf8() && out.ends_with(meant)) {
            out.push_str(meant);
        }
        rest = after;
    }
    out
}

/// Gives the Latin letters for one of Cyrillic, or of Latin with a mark; `None` for a letter that stays.
const fn letters(c: char) -> Option<&'static str> {
    Some(match c {
        'а' | 'ә' | 'á' | 'à' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' | 'ə' => "a",
        'б' => "b",
        'в' => "v",
        'г' | 'ғ' | 'ґ' | 'ѓ' | 'ğ' | 'ģ' | 'ġ' => "g",
        'д' | 'ď' => "d",
        'е' | 'ё' | 'э' | 'є' | 'é' | 'è' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => {
            "e"
        }
        'ж' | 'җ' | 'ž' | 'ż' => "zh",
        'ҷ' | 'џ' | 'ђ' | 'đ' => "dzh",
        'з' | 'ź' => "z",
        'и' | 'й' | 'ы' | 'і' | 'ї' | 'ӣ' | 'ј' | 'í' | 'ì' | 'î' | 'ï' | 'ī' | 'į' | 'ı' | 'ý'
        | 'ÿ' => "i",
        'к' | 'қ' | 'ќ' | 'ķ' => "k",
        'л' | 'ł' | 'ļ' | 'ľ' => "l",
        'љ' => "li",
        'м' => "m",
        'н' | 'ң' | 'ñ' | 'ń' | 'ň' | 'ņ' => "n",
        'њ' => "ni",
        'о' | 'ө' | 'ó' | 'ò' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' => "o",
        'п' => "p",
        'р' | 'ř' => "r",
        'с' | 'ś' => "s",
        'т' | 'ť' => "t",
        'ћ' | 'ч' | 'ҹ' | 'č' | 'ć' | 'ç' => "ch",
        'у' | 'ү' | 'ұ' | 'ú' | 'ù' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' | 'ų' => "u",
        'ф' => "f",
        'х' | 'ҳ' | 'һ' => "h",
        'ц' | 'ț' | 'ţ' => "c",
        'ш' | 'š' | 'ş' | 'ș' => "sh",
        'щ' => "shch",
        'ъ' | 'ь' => "",
        'ю' => "iu",
        'я' => "ia",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_spellings_of_one_name_have_one_key() {
        let names: [&[&str]; 29] = [
            &["Юсупов", "Yusupov", "Iusupov", "Jusupov", "YUSUPOV", "Юсуппов", "Ioussoupov"],
            &["Яков", "Yakov", "Iakov", "Jakov"],
            &["Сергей", "Sergey", "Sergei", "Sergej"],
            &["Дмитрий", "Dmitriy", "Dmitrii", "Dmitrij", "Dmitry"],
            &["Хусанов", "Khusanov", "Husanov", "Xusanov", "Ҳусанов"],
            &["Цой", "Tsoy", "Tsoi", "Coj", "Tzoi"],
            &["Жанна", "Zhanna", "Janna", "Žanna"],
            &["Шукуров", "Shukurov", "Šukurov", "Şukurov"],
            &["Щербаков", "Shcherbakov"],
            &["Соловьёв", "Соловьев", "Solovyov", "Solov'ev", "Soloviev", "Solovev"],
            &["Ёрматов", "Ерматов", "Yormatov", "Ermatov", "Yermatov"],
            &[
                "Жўраев",
                "Жураев",
                "Джураев",
                "Jo'rayev",
                "Joʻrayev",
                "Zhuraev",
                "Dzhuraev",
                "Juraev",
            ],
            &["Ғуломов", "Гуломов", "G'ulomov", "Gʻulomov", "Ghulomov", "Gulomov"],
            &["Қодиров", "Кодиров", "Qodirov", "Kodirov"],
            &["Рӯзиев", "Рузиев", "Ruziev", "Ro'ziyev"],
            &["Ҷамшед", "Джамшед", "Jamshed", "Dzhamshed", "Djamshed"],
            &["Шарифӣ", "Шарифи", "Sharifi", "Sharifiy"],
            &["Өмүрбеков", "Омурбеков", "Omurbekov", "Ömürbekov"],
            &["Тыңчтык", "Тынчтык", "Tynchtyk", "Tinchtik", "Tyngchtyk"],
            &["Абдуллаев", "Abdullayev", "Abdullaev", "Abdulaev", "ABDULLAYEV"],
            &["Андреев", "Andreyev", "Andreev"],
            &["Евгений", "Yevgeniy", "Evgenii", "Jevgenij"],
            &["Мария", "Mariya", "Mariia", "Maria", "Marija"],
            &["Максим", "Maksim", "Maxim"],
            &["Шарифжон", "Шарифджон", "Sharifjon", "Sharifzhon", "Sharifdzhon"],
            &["Йованович", "Јовановић", "Jovanović", "Yovanovich"],
            &["Ахмедов", "Akhmedov", "Axmedov", "Ahmedov", "Аҳмедов"],
            &["Исҳоқов", "Исхоков", "Is'hoqov", "Iskhokov"],
            &["Фёдор", "Fyodor", "Fedor", "Fiodor"],
        ];
        for spellings in names {
            let key = fold(spellings[0]);
            for spelling in spellings {
                assert_eq!(fold(spelling), key, "{spelling} and {}", spellings[0]);
            }
        }
    }

    #[test]
    fn different_names_have_different_keys() {
        let names = [
            "Хасанов",
            "Хусанов",
            "Каримов",
            "Рахимов",
            "Собиров",
            "Сабиров",
            "Алиев",
            "Олимов",
            "Шукуров",
            "Чориев",
            "Азиз",
            "Азим",
            "Иванов",
            "Иванова",
            "Гулнора",
            "Дилноза",
        ];
        let keys: BTreeSet<String> = names.iter().map(|name| fold(name)).collect();
        assert_eq!(keys.len(), names.len());
    }

    #[test]
    fn a_name_is_found_by_what_is_typed_of_it_so_far_in_either_script() {
        let spellings = [
            "Юсупов",
            "Yusupov",
            "Akhmedov",
            "Dzhamshed",
            "Ҷамшед",
            "Abdullayev",
            "Тоджиев",
            "Tojiyev",
            "Alexey",
            "Щукин",
            "Тоджон",
            "Iou",
            "Шарифджон",
            "Yormatov",
            "Tsoy",
            "Zhanna",
            "Maksim",
            "Qodirov",
            "Ghulomov",
        ];
        for name in spellings {
            let keys = keys(name);
            for (end, _) in name.char_indices().skip(1).chain([(name.len(), ' ')]) {
                let typed = &name[..end];
                let prefixes = prefixes(typed);
                let found = |key: &String| prefixes.iter().any(|one| key.starts_with(one.as_str()));
                assert!(keys.iter().any(found), "{typed} of {name}: {prefixes:?}");
            }
        }
        assert_eq!(prefixes("Хусан"), ["husan"]);
        assert_eq!(prefixes("…"), [""; 0]);
    }

    #[test]
    fn an_uzbek_o_is_found_as_o_and_as_u() {
        let keys = keys("Jo'rayev Anvar o'g'li");
        for typed in ["Жураев", "Jorayev", "Joʻrayev", "Анвар", "угли", "ogli"] {
            let found =
                |key: &String| prefixes(typed).iter().any(|one| key.starts_with(one.as_str()));
            assert!(keys.iter().any(found), "{typed}: {keys:?}");
        }
    }

    #[test]
    fn the_distance_is_counted_by_hand() {
        let cases = [
            ("Юсупов Азиз", "Yusupov Aziz", 0),
            ("Юсупов Азиз", "Aziz Yusupov", 0),
            ("Юсупов Азиз", "Юсупов Азим", 1),
            ("Собиров", "Сабиров", 1),
            ("Каримов", "Каримова", 1),
            ("Каирмов", "Каримов", 1),
            ("Хасанов", "Хусейнов", 3),
            ("", "Ким", 3),
            ("", "", 0),
        ];
        for (one, other, counted) in cases {
            assert_eq!(distance(one, other), counted, "{one} and {other}");
        }
    }

    proptest! {
        #[test]
        fn a_key_folds_to_itself(name in "\\PC{0,24}|[a-zа-яёўқғҳӣӯҷ' ]{0,24}") {
            let key = fold(&name);
            prop_assert_eq!(fold(&key), key);
        }

        #[test]
        fn the_distance_is_a_distance(
            one in "[а-яa-z]{0,9}", other in "[а-яa-z]{0,9}", at in 0..9_usize, letter in "[bdflmnprv]",
        ) {
            prop_assert_eq!(distance(&one, &one), 0);
            prop_assert_eq!(distance(&one, &other), distance(&other, &one));
            let (first, second) = (fold(&one), fold(&other));
            let (most, least) = (first.len().max(second.len()), first.len().abs_diff(second.len()));
            prop_assert!((least..=most).contains(&edits(&first, &second)));
            // One letter more is one edit, or none where it doubles its neighbour.
            let mut longer: Vec<char> = first.chars().collect();
            longer.insert(at.min(longer.len()), letter.chars().next().unwrap());
            prop_assert_eq!(edits(&first, &longer.into_iter().collect::<String>()), 1);
        }

        #[test]
        fn what_is_typed_of_a_latin_name_begins_one_of_its_keys(name in "[a-z]{2,10}", typed in 2..10_usize) {
            let typed = &name[..typed.min(name.len())];
            let key = fold(&name);
            prop_assert!(prefixes(typed).iter().any(|one| key.starts_with(one.as_str())), "{} of {}", typed, key);
        }
    }
}
