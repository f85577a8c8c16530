//! Names of people as an office meets them: a few very often, most seldom.

use std::collections::BTreeMap;

/// Beginnings of family names, the most frequent first.
const STEMS: &str = "Карим Рахим Юсуп Абдуллаев:а Исмоил Саид Холмат Тошмат Эргаш Мирза Турсун Хаким Умар Нормат Бозор \
    Жўра Ахмед Хасан Алим Назар Шариф Собир Рустам Содик Махмуд Усмон Ибрагим Хамид Рашид Юлдаш Мамат Султон Ашур Раджаб \
    Хусейн Азим Давлат Камол Одил Пулат Курбон Тохир Якуб Зокир Насрулла Бобо Файзулл Гафур Латиф Мурод Нуриддин Орип \
    Сатторов:а Тилло Ходжа Шукур Эшон Аминов:а Бекмурод Васик Джабор Ёкуб Зафар Иком Кадыр Лутфулл Мелик Неъмат Ортик \
    Примкул Равшан Сафар Таир Уктам Фозил Хайдар Чори Шомурод Эльмурод Игамберди";
const ENDINGS: [&str; 5] = ["ов:а", "беков:а", "жонов:а", "зода", "бердиев:а"];
const MEN: &str = "Рустам Азиз Алишер Шахзод Жамшид Хуршид Улуғбек Фаррух Бахтиёр Дилшод Ойбек Санжар Отабек Бекзод Шерзод \
    Акмал Жасур Икром Камол Лазиз Мансур Нодир Олим Равшан Сардор Тимур Умид Фирдавс Хасан Хусан Элёр Ёкуб Абдулла \
    Бобур Вали Гайрат Зафар Исломбек Карим Мирзо";
const WOMEN: &str = "Гулнора Дилноза Нодира Зарина Мадина Шахноза Феруза Нигора Малика Севара Лола Умида Гулчехра Барно \
    Дилфуза Зухра Камола Мунира Наргиза Озода";

/// The names of one sex, each list in the order of its frequency.
pub struct Names {
    families: Vec<String>,
    given: Vec<String>,
    patronymics: Vec<String>,
}

/// Gives the names of men and of women.
pub fn all() -> [Names; 2] {
    let mut families: BTreeMap<bool, Vec<String>> = BTreeMap::new();
    for stem in STEMS.split_whitespace() {
        for ending in ENDINGS {
            let whole =
                if stem.contains(':') { stem.to_owned() } else { format!("{stem}{ending}") };
            let (man, woman) = whole.split_once(':').map_or_else(
                || (whole.clone(), whole.clone()),
                |(man, end)| (man.to_owned(), format!("{man}{end}")),
            );
            families.entry(false).or_default().push(man);
            families.entry(true).or_default().push(woman);
            if stem.contains(':') {
                break;
            }
        }
    }
    [(false, MEN, "ович"), (true, WOMEN, "овна")].map(|(woman, given, end)| Names {
        families: families.remove(&woman).unwrap_or_default(),
        given: given.split_whitespace().map(str::to_owned).collect(),
        patronymics: MEN.split_whitespace().map(|man| format!("{man}{end}")).collect(),
    })
}

impl Names {
    /// Gives a family name, a given name and a patronymic; each number chooses one of them, the first of a list the most
    /// often.
    pub fn pick(&self, random: [u64; 3]) -> [&str; 3] {
        let place = |names: &[String], random: u64, bend: f64| {
            let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
            (share.powf(bend) * names.len() as f64) as usize
        };
        let [family, given, patronymic] = random;
        [
            &self.families[place(&self.families, family, 1.6)],
            &self.given[place(&self.given, given, 1.4)],
            &self.patronymics[place(&self.patronymics, patronymic, 1.4)],
        ]
    }
}
