-- To whom a charge is paid, as the rules said when it was made: a later change alters no bill.

ALTER TABLE charges ADD COLUMN requisites jsonb;
COMMENT ON COLUMN charges.requisites IS 'payee, bank, KBK, OKTMO and purpose, frozen; empty where the rules named no payee';
