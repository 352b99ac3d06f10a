-- The whole schema as it is now. A new database is made from this; an older one by `migrations/`, and
-- a test shows that both ways end in the same tables.

-- A card's file (CardState): one row for each card, as it was when it was last swept. Newer images of a
-- file stand in `state_log`; a server keeps them in memory, other readers lay them over.
create table card_state (
    number integer primary key, -- by registration; neighbours share a page and are rewritten together
    card_key blob not null,     -- 16 bytes of HMAC-SHA-256 of the PAN
    cardholder text not null,
    version integer not null,   -- of the journal entry that it is the result of
    settings blob not null,     -- cold part (coding/settings.py), sealed
    usage blob not null,        -- hot part (coding/usage.py), sealed
    recent blob not null        -- digests of the latest entries (coding/recent.py), sealed
) strict;
create unique index card_state_by_key on card_state (card_key);
create index card_state_by_cardholder on card_state (cardholder, card_key);

-- Images of the files that moved, one row for each commit, until the sweep has passed.
create table state_log (
    number integer primary key,
    body blob not null
) strict;

-- The journal: appended, never changed. A card's rows are chained by hash and linked by position, both
-- inside `body` (coding/entry.py). `version` of a card has no gaps.
create table journal (
    position integer primary key,
    card_key blob not null,
    version integer not null,
    body blob not null
) strict;

-- Every 32nd entry of a card, so that one far back is found without walking to it.
create table journal_mark (
    card_key blob not null,
    version integer not null,
    position integer not null,
    primary key (card_key, version)
) strict, without rowid;

-- The latest entry of each authorization group that has follow-ups.
create table group_head (
    card_key blob not null,
    version integer not null,  -- of the entry that began the group
    position integer not null,
    primary key (card_key, version)
) strict, without rowid;

-- Digests of busy cards that no longer fit into `card_state.recent`; kept for seven days.
create table old_key (
    card_key blob not null,
    digest blob not null,      -- 8 bytes
    version integer not null,
    second integer not null,   -- epoch second of filing
    primary key (card_key, digest, version)
) strict, without rowid;

-- The outbox: what somebody must be told. A card's rows are linked by position inside `body`.
create table event (
    position integer primary key,
    card_key blob not null,
    version integer not null,  -- of the entry that caused it
    body blob not null
) strict;

-- The audit trail: who changed what.
create table audit (
    position integer primary key,
    card_key blob not null,    -- empty where no card is concerned
    body blob not null
) strict;
create index audit_by_card on audit (card_key, position);

-- Everything else that is kept: cardholders, keys, reports, answers, subscriptions.
create table record (
    kind text not null,
    id text not null,
    subject text not null,
    created_ms integer not null,
    body blob not null,
    primary key (kind, id)
) strict, without rowid;
create index record_by_subject on record (kind, subject, id);
