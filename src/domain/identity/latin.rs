//! Names in Latin letters as a passport writes them, for those that are known in Cyrillic letters alone.

use std::borrow::Cow;

/// Writes a name in Latin capitals as ICAO Doc 9303 does (part 3, section 6, table B for Cyrillic); what is written in
/// Latin letters stays, in capitals.
///
/// It is how the name would be written, not how somebody's passport does write it: ask its machine-readable zone first.
#[must_use]
pub fn latin(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).map(letters).collect()
}

fn letters(letter: char) -> Cow<'static, str> {
    let written = match letter {
        'А' | 'Ә' => "A",
        'Б' => "B",
        'В' => "V",
        'Г' | 'Ґ' | 'Ғ' => "G",
        'Д' => "D",
        'Е' | 'Ё' | 'Э' => "E",
        'Ж' | 'Җ' => "ZH",
        'З' => "Z",
        'И' | 'Й' | 'І' | 'Ї' | 'Ӣ' => "I",
        'К' | 'Қ' => "K",
        'Л' => "L",
        'М' => "M",
        'Н' | 'Ң' => "N",
        'О' | 'Ө' => "O",
        'П' => "P",
        'Р' => "R",
        'С' => "S",
        'Т' => "T",
        'У' | 'Ў' | 'Ӯ' | 'Ұ' | 'Ү' => "U",
        'Ф' => "F",
        'Х' => "KH",
        'Ҳ' | 'Һ' => "H",
        'Ц' => "TS",
        'Ч' => "CH",
        'Ҷ' => "J",
        'Ш' => "SH",
        'Щ' => "SHCH",
        'Ъ' => "IE",
        'Ы' => "Y",
        'Ь' => "",
        'Ю' => "IU",
        'Я' => "IA",
        'Є' => "IE",
        other => return Cow::Owned(other.to_string()),
    };
    Cow::Borrowed(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_in_a_passport() {
        for (name, written) in [
            ("Каримов Рустам Алишерович", "KARIMOV RUSTAM ALISHEROVICH"),
            ("Хужаев Юрий", "KHUZHAEV IURII"),
            ("Щербакова-Цой Подъячая", "SHCHERBAKOVA-TSOI PODIEIACHAIA"),
            ("Muñoz", "MUÑOZ"),
            ("", ""),
        ] {
            assert_eq!(latin(name), written);
        }
    }
}
