-- What another calendar may give other dates: gone through by id, a hundred at a time, without a look at what is over.
CREATE INDEX applications_with_dates ON applications (id)
    WHERE phase IN ('submission', 'checks', 'fee', 'issuance') OR work IS NOT NULL;
