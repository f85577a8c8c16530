//! Names to make people and companies of.

/// The names of one country's people.
pub struct Nation {
    /// ISO 3166-1 alpha-3.
    pub code: &'static str,
    /// What passport numbers begin with.
    pub passport: &'static str,
    /// Family names of men; women's have `female_ending` after them.
    pub families: &'static [&'static str],
    /// What turns a family name into a woman's.
    pub female_ending: &'static str,
    /// Given names of men.
    pub men: &'static [&'static str],
    /// Given names of women.
    pub women: &'static [&'static str],
    /// Endings that make patronymics of men's given names, for men and women; empty where there are none.
    pub patronymic: (&'static str, &'static str),
}

/// Where workers who need no visa come from, repeated as often as they come.
pub const WORKERS: [&Nation; 10] = [
    &UZBEKISTAN,
    &UZBEKISTAN,
    &UZBEKISTAN,
    &UZBEKISTAN,
    &TAJIKISTAN,
    &TAJIKISTAN,
    &TAJIKISTAN,
    &AZERBAIJAN,
    &AZERBAIJAN,
    &MOLDOVA,
];

/// Where specialists come from.
pub const SPECIALISTS: [&Nation; 4] = [&INDIA, &TURKEY, &SERBIA, &INDIA];

const UZBEKISTAN: Nation = Nation {
    code: "UZB",
    passport: "FA",
    families: &[
        "Абдуллаев",
        "Юсупов",
        "Рахимов",
        "Исмоилов",
        "Тошматов",
        "Холматов",
        "Эргашев",
        "Мирзаев",
        "Турсунов",
        "Хакимов",
        "Олимов",
        "Саидов",
        "Умаров",
        "Норматов",
        "Бозоров",
    ],
    female_ending: "а",
    men: &[
        "Азиз",
        "Бахтиёр",
        "Жасур",
        "Отабек",
        "Шерзод",
        "Улугбек",
        "Дилшод",
        "Фаррух",
        "Санжар",
        "Мансур",
        "Алишер",
        "Рустам",
    ],
    women: &["Дилноза", "Гулнора", "Малика", "Нигора", "Шахноза", "Зухра"],
    patronymic: ("ович", "овна"),
};

const TAJIKISTAN: Nation = Nation {
    code: "TJK",
    passport: "40",
    families: &[
        "Рахмонов",
        "Назаров",
        "Шарипов",
        "Холов",
        "Давлатов",
        "Гафуров",
        "Сафаров",
        "Кодиров",
        "Мирзоев",
        "Зоиров",
        "Раджабов",
        "Курбонов",
    ],
    female_ending: "а",
    men: &[
        "Фируз",
        "Джамшед",
        "Сухроб",
        "Парвиз",
        "Бахром",
        "Далер",
        "Фарход",
        "Искандар",
        "Шохрух",
        "Комрон",
    ],
    women: &["Фарзона", "Мехрангез", "Ситора", "Зарина", "Мадина"],
    patronymic: ("ович", "овна"),
};

const AZERBAIJAN: Nation = Nation {
    code: "AZE",
    passport: "C0",
    families: &[
        "Алиев",
        "Мамедов",
        "Гасанов",
        "Гусейнов",
        "Исмаилов",
        "Ахмедов",
        "Джафаров",
        "Керимов",
    ],
    female_ending: "а",
    men: &["Эльчин", "Рашад", "Вугар", "Анар", "Тофик", "Самир", "Ильгар"],
    women: &["Севиндж", "Айтен", "Лейла", "Нигяр"],
    patronymic: (" оглы", " кызы"),
};

const MOLDOVA: Nation = Nation {
    code: "MDA",
    passport: "AB",
    families: &["Русу", "Чебан", "Мунтяну", "Ротару", "Гроссу", "Бостан", "Кожокару"],
    female_ending: "",
    men: &["Ион", "Андрей", "Виктор", "Сергей", "Думитру"],
    women: &["Мария", "Наталья", "Елена", "Дойна"],
    patronymic: ("", ""),
};

const INDIA: Nation = Nation {
    code: "IND",
    passport: "Z",
    families: &["Шарма", "Патель", "Рао", "Гупта", "Айер", "Сингх", "Мехта", "Наир"],
    female_ending: "",
    men: &["Раджеш", "Арджун", "Викрам", "Сандип", "Рохан"],
    women: &["Прия", "Анита", "Кавита", "Дипа"],
    patronymic: ("", ""),
};

const TURKEY: Nation = Nation {
    code: "TUR",
    passport: "U",
    families: &["Йылмаз", "Демир", "Кая", "Шахин", "Челик", "Айдын"],
    female_ending: "",
    men: &["Мехмет", "Мустафа", "Эмре", "Бурак", "Хакан"],
    women: &["Айше", "Элиф", "Зейнеп"],
    patronymic: ("", ""),
};

const SERBIA: Nation = Nation {
    code: "SRB",
    passport: "01",
    families: &["Петрович", "Йованович", "Николич", "Маркович", "Илич"],
    female_ending: "",
    men: &["Милан", "Драган", "Никола", "Стефан"],
    women: &["Милица", "Ана", "Йелена"],
    patronymic: ("", ""),
};

/// Professions by OKZ code, for workers.
pub const TRADES: [(&str, &str); 10] = [
    ("7112", "Каменщик"),
    ("7123", "Штукатур"),
    ("7126", "Монтажник санитарно-технических систем"),
    ("7212", "Сварщик"),
    ("9313", "Подсобный рабочий"),
    ("9112", "Уборщик помещений"),
    ("5120", "Повар"),
    ("8332", "Водитель грузового автомобиля"),
    ("9333", "Грузчик"),
    ("7411", "Электромонтажник"),
];

/// Professions by OKZ code, for specialists.
pub const PROFESSIONS: [(&str, &str); 6] = [
    ("1330", "Руководитель проектов в области ИТ"),
    ("2512", "Разработчик программного обеспечения"),
    ("2144", "Инженер-механик"),
    ("1323", "Руководитель строительного проекта"),
    ("2413", "Финансовый аналитик"),
    ("1120", "Директор по развитию"),
];

/// Names of companies, with the unit in whose region each sits.
pub const COMPANIES: [(&str, &str); 24] = [
    ("ООО «СтройГрад»", "77"),
    ("АО «Мосмонтаж»", "77"),
    ("ООО «Клининг Столица»", "77"),
    ("ООО «Вкусный Двор»", "77"),
    ("АО «Техносфера»", "77"),
    ("ООО «Логистика Плюс»", "77"),
    ("ООО «Фасад Мастер»", "77"),
    ("ООО «Айти Решения»", "77"),
    ("АО «Дорожник»", "77"),
    ("ООО «Теплосети Сервис»", "77"),
    ("ООО «Невский Строитель»", "78"),
    ("АО «Балтийские верфи»", "78"),
    ("ООО «Северный Порт»", "78"),
    ("ООО «Петрохлеб»", "78"),
    ("ООО «Ладога Транс»", "78"),
    ("АО «Нева Инжиниринг»", "78"),
    ("ООО «Чистый Проспект»", "78"),
    ("ООО «Подмосковье Агро»", "50"),
    ("АО «Химки Склад»", "50"),
    ("ООО «Балашиха Бетон»", "50"),
    ("ООО «Тепличный комбинат Восток»", "50"),
    ("ООО «Мытищи Мебель»", "50"),
    ("АО «Коломна Станкострой»", "50"),
    ("ООО «Дмитров Логистика»", "50"),
];
