# То, что напечатано на разрешении и в письме о решении. Каждая строка есть на каждом языке, с теми же переменными.

country = Российская Федерация

permit-number = Серия, номер
permit-blank = Номер бланка
permit-name = Фамилия, имя, отчество
permit-name-passport = Имя латинскими буквами, как в паспорте
permit-name-latin = Имя латинскими буквами (транслитерация ИКАО)
permit-birth-date = Дата рождения
permit-citizenship = Гражданство
permit-passport = Документ, удостоверяющий личность
permit-profession = Профессия (специальность, должность)
permit-inn = ИНН
permit-employer = Работодатель
permit-territory = Территория действия: код субъекта Российской Федерации
permit-unit = Кем выдано
permit-issued-on = Дата выдачи
permit-paid-through = Оплачено по (на дату выдачи)
permit-prolonged = Продлевается уплатой за следующие месяцы, не дальше окончания срока; действующую дату показывает проверка.
permit-ends-on = Срок действия истекает
permit-issued-by = Должностное лицо
permit-reference = Номер заявления
permit-check = Подлинность подтверждает подпись в QR-коде. Действительно ли разрешение сегодня: { $link }

letter-title = Решение
letter-number = Номер решения
letter-date = Дата
letter-to = Кому
letter-track = По заявлению
letter-decision = Решено
letter-granted = Выдать запрошенный документ.
letter-refused = Отказать в выдаче запрошенного документа.
letter-intake-refused = Отказать в приёме заявления к рассмотрению.
letter-annulled = Аннулировать выданный документ.
letter-basis = Правовое основание
letter-grounds = Причины
letter-reason = Пояснение должностного лица
letter-next = Что дальше
letter-complaint = Как обжаловать
letter-complain = Решение можно обжаловать: руководителю подразделения, в вышестоящий орган, через портал досудебного обжалования или в суд. Укажите номер заявления { $reference }. Что известно по заявлению: { $link }
letter-decided-by = Решение принял
