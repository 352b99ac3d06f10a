-- The whole schema as it is now. A new database is made from this; an older one by `migrations/`, and
-- a test shows that both ways end in the same tables. Every key of what belongs to a card begins with the
-- card's, so that `create_distributed_table(…, 'card_key')` takes the tables as they are; `record` is a
-- reference table there. Texts are compared byte by byte (collate "C"), whatever the database's locale.

-- The number of the schema, one row (`steps.py`).
create table zhiwei_schema (
    number integer primary key,              -- of the last `pre` that was run
    finished integer not null                -- of the last `post`; who knows fewer may not serve; 0 = none
);

-- A card's file (CardState): one row for each card, rewritten with every entry. What changes least stands
-- first, since the log of PostgreSQL keeps only what differs from the first difference on.
create table card_state (
    card_key bytea primary key,              -- 16 bytes of HMAC-SHA-256 of the PAN
    cardholder text collate "C" not null,
    settings bytea not null,                 -- cold part (coding/settings.py), sealed
    version bigint not null,                 -- of the journal entry that it is the result of
    usage bytea not null,                    -- hot part (coding/usage.py), sealed
    recent bytea not null                    -- digests of the latest entries (coding/recent.py), sealed
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
create index card_state_by_cardholder on card_state (cardholder, card_key);

-- Positions in the whole journal, the outbox and the audit trail. They grow, and may have gaps.
create sequence journal_position;
create sequence event_position;
create sequence audit_position;

-- The journal: appended, never changed, one partition for each week (`weeks.py`). `version` of a card has no
-- gaps; inside `body` (coding/entry.py) the rows are chained by hash. Places inside bodies are the card's own:
-- an entry stands at its version, an event at its number.
create table journal (
    card_key bytea not null,
    version bigint not null,
    filed_ms bigint not null,
    group_version bigint not null,           -- of the entry that began its authorization group; 0 = none
    position bigint not null default nextval('journal_position'),
    body bytea not null,
    primary key (card_key, version, filed_ms)
) partition by range (filed_ms);
create index journal_by_position on journal (position);

-- The latest entry of each authorization group that has follow-ups.
create table group_head (
    card_key bytea not null,
    version bigint not null,                 -- of the entry that began the group
    latest bigint not null,
    filed_ms bigint not null,                -- of the latest, so that its week is known
    primary key (card_key, version)
);

-- Digests of busy cards that no longer fit into `card_state.recent`; kept for seven days.
create table old_key (
    card_key bytea not null,
    digest bytea not null,                   -- 8 bytes
    version bigint not null,
    second bigint not null,                  -- epoch second of filing
    primary key (card_key, digest, version)
);

-- The outbox: what somebody must be told. The events of a card are numbered from 1 without gaps.
create table event (
    card_key bytea not null,
    number bigint not null,
    filed_ms bigint not null,                -- of the entry that caused it
    version bigint not null,                 -- of the entry that caused it
    position bigint not null default nextval('event_position'),
    body bytea not null,
    primary key (card_key, number, filed_ms)
) partition by range (filed_ms);
create index event_by_position on event (position);

-- The audit trail: who changed what.
create table audit (
    card_key bytea not null,                 -- empty where no card is concerned
    position bigint not null default nextval('audit_position'),
    body bytea not null,
    primary key (card_key, position)
);
create index audit_by_position on audit (position);

-- Everything else that is kept: cardholders, keys, reports, answers, subscriptions.
create table record (
    kind text collate "C" not null,
    id text collate "C" not null,
    subject text collate "C" not null,
    created_ms bigint not null,
    body bytea not null,
    primary key (kind, id)
);
create index record_by_subject on record (kind, subject, id);
