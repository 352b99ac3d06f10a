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

-- Keys of the HTTP door; hashes only. These and the tables below belong to no card, and stay in one place.
create table api_key (
    id text collate "C" primary key,
    created_ms bigint not null,
    secret_hash text collate "C" not null,
    scope text collate "C" not null,
    subject text collate "C" not null,
    label text collate "C" not null,
    revoked_ms bigint not null
);

-- Visits of pages. The cookie's value is kept nowhere; `id` is its SHA-256. Numbers are those of the
-- enumerations in web/sign_in/model.py.
create table face_session (
    id text collate "C" primary key,
    face integer not null,
    subject text collate "C" not null,
    cardholder text collate "C" not null,
    role integer not null,
    proof integer not null,
    created_ms bigint not null,
    seen_ms bigint not null,
    csrf text collate "C" not null
);
create index face_session_by_subject on face_session (subject);
create index face_session_by_age on face_session (created_ms);

-- Public keys of devices. `position` is the order in which they were added.
create table face_passkey (
    id text collate "C" primary key,
    position bigint generated always as identity,
    face integer not null,
    subject text collate "C" not null,
    public_key bytea not null,
    sign_count bigint not null,
    label text collate "C" not null,
    created_ms bigint not null,
    used_ms bigint not null
);
create index face_passkey_by_subject on face_passkey (subject, face, position);

-- One-time codes and links that were given out, one for each purpose; digests only.
create table face_code (
    purpose text collate "C" primary key,
    hash text collate "C" not null,
    created_ms bigint not null,
    expires_ms bigint not null,
    tries_left bigint not null
);
create index face_code_by_hash on face_code (hash);
create index face_code_by_end on face_code (expires_ms);

-- What is counted against abuse: how often in each second.
create table face_tally (
    name text collate "C" not null,
    at_ms bigint not null,
    amount bigint not null,
    primary key (name, at_ms)
);
create index face_tally_by_age on face_tally (at_ms);

-- People at the issuer's desk.
create table face_operator (
    id text collate "C" primary key,
    name text collate "C" not null,
    role integer not null,
    created_ms bigint not null,
    oidc_subject text collate "C" not null,
    disabled_ms bigint not null
);

-- Changes that wait for proof of who asked for them. `position` is their order.
create table face_deed (
    id text collate "C" primary key,
    position bigint generated always as identity,
    session text collate "C" not null,
    name text collate "C" not null,
    card text collate "C" not null,
    form text collate "C" not null,
    created_ms bigint not null,
    expires_ms bigint not null
);
create index face_deed_by_session on face_deed (session, position);
create index face_deed_by_end on face_deed (expires_ms);
