-- What the cause of an order turned out to be, beside what had been stated and by which evidence: chosen by a person who resolved
-- its case, or implied by what arrived later. Orders of which nobody learned the cause have no row.
BEGIN;
CREATE TABLE label (
    order_key  uuid NOT NULL,
    episode    smallint NOT NULL,
    source     text COLLATE "C" NOT NULL,
    at         timestamptz NOT NULL,
    actor      text COLLATE "C" NOT NULL,
    acquirer   text COLLATE "C" NOT NULL,
    stated     text COLLATE "C" NOT NULL,  -- sub-cause
    confidence numeric(3,2) NOT NULL,      -- of its cause
    features   text COLLATE "C" NOT NULL,
    rates      text COLLATE "C" NOT NULL,
    weights    text COLLATE "C" NOT NULL,
    actual     text COLLATE "C" NOT NULL,  -- sub-cause
    amount     numeric(24,2) NOT NULL,     -- of the order, unsigned
    currency   text COLLATE "C" NOT NULL,
    CONSTRAINT label_once_a_source PRIMARY KEY (order_key, episode, source),
    CONSTRAINT label_source_is_known CHECK (source IN ('person', 'implied')),
    CONSTRAINT label_confidence_is_a_share CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT label_amount_is_unsigned CHECK (amount >= 0)
);
COMMIT;
