# What is printed on the permit and in the letter that tells a decision. Each line is there in every language, with the same variables.

country = Russian Federation

permit-number = Series, number
permit-blank = Number of this paper
permit-name = Family name, given name, patronymic
permit-name-passport = Name in Latin letters, as in the passport
permit-name-latin = Name in Latin letters (transliterated after ICAO)
permit-birth-date = Date of birth
permit-citizenship = Citizenship
permit-passport = Identity document
permit-profession = Profession (trade, position)
permit-inn = Taxpayer number (INN)
permit-employer = Employer
permit-territory = Valid in: code of the federal subject
permit-unit = Issued by
permit-issued-on = Date of issue
permit-paid-through = Paid through (on the day of issue)
permit-prolonged = Prolonged by paying for further months, not beyond the end of the term; the check shows the current date.
permit-ends-on = End of the term
permit-issued-by = Official
permit-reference = Application
permit-check = The signature in the QR proves that it is genuine. Whether it is valid today: { $link }

letter-title = Decision
letter-number = Number of the decision
letter-date = Date
letter-to = To
letter-track = On the application for
letter-decision = Decided
letter-granted = To issue the document that was applied for.
letter-refused = To refuse the document that was applied for.
letter-intake-refused = Not to take the application in.
letter-annulled = To annul the document that was issued.
letter-basis = Legal basis
letter-grounds = Grounds
letter-reason = The official's explanation
letter-next = What next
letter-complaint = How to complain
letter-complain = You can complain of the decision: to the head of the office, to the higher authority, on the state's portal of complaints, or to a court. Quote the application { $reference }. What is known of the application: { $link }
letter-decided-by = Decided by
