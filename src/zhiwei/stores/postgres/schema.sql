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

-- Messages: what people are told, and what they write back (`messages/`). Any server may send any of it. None of
-- it belongs to one card, so on Citus these tables stay whole, where the coordinator is.

-- How far the outbox has been planned: one row. Whoever plans holds its lock.
create table message_cursor (
    one integer primary key check (one = 1),
    position bigint not null
);
insert into message_cursor values (1, 0);

-- Who sends messages just now. One that does not say again and again that it lives is forgotten, and what it held
-- is free. Instants are the database's, so that a server with a wrong clock does no harm.
create table message_teller (
    id bigint primary key,
    held_until timestamptz not null
);

-- A message with its story. `status` is the number of messaging.model.Status.
create sequence message_position;
create table message (
    position bigint primary key default nextval('message_position'),
    id text collate "C" not null,
    event_id text collate "C" not null,
    kind text not null,
    card_key bytea not null,
    lane text collate "C" not null,
    channel text collate "C" not null,
    recipient text not null,
    language text not null,
    subject text not null,
    body text not null,
    created_ms bigint not null,
    expires_ms bigint not null,
    is_urgent boolean not null,
    challenge text collate "C" not null,
    status smallint not null,
    tries integer not null,
    next_ms bigint not null,
    planned_ms bigint not null,
    changed_ms bigint not null,
    remote_id text not null,
    detail text not null
);
-- Also finds the messages of an event: their ids begin with its own.
create unique index message_by_id on message (id);
create index message_by_card on message (card_key, position) where card_key <> '';
create index message_by_challenge on message (challenge) where challenge <> '';
-- Finds the next head of a lane, and whether anything in it is urgent.
create index message_waiting on message (channel, lane, position) where status = 0;
create index message_urgent on message (channel, lane) where status = 0 and is_urgent;
-- Finds the oldest of a channel; `+ 0` keeps it out of the plan of who looks for a lane.
create index message_queued on message (channel, position) where status + 0 = 0;
-- For lists of what was not sent, which is little: failed, dead, expired, muted, held back.
create index message_unsent on message (status, position) where status > 2;

-- One row for each lane in which something waits or is on its way, with its head: what may go out next.
create table message_lane (
    channel text collate "C" not null,
    lane text collate "C" not null,
    is_urgent boolean not null,              -- something in it is; it cannot overtake, so all of it hurries
    next_ms bigint not null,                 -- of the head
    position bigint,                         -- of the head; null = nothing waits, and what was on its way still is
    holder bigint not null,                  -- the teller who has the lane; 0 = nobody
    primary key (channel, lane)
) with (fillfactor = 70);
create index message_lane_free on message_lane (channel, is_urgent, next_ms, position) where holder = 0;
create index message_lane_held on message_lane (holder) where holder <> 0;
create index message_lane_late on message_lane ((next_ms + 0)) where next_ms > 0;

-- Ids that the other sides gave, for their receipts. A repeat of a message has a second one.
create table message_remote (
    channel text collate "C" not null,
    remote_id text collate "C" not null,
    position bigint not null,
    primary key (channel, remote_id)
);
create index message_remote_by_position on message_remote (position);

-- Receipts that came before their message was noted as sent, or that belong to none.
create table message_early_receipt (
    channel text collate "C" not null,
    remote_id text collate "C" not null,
    status smallint not null,
    detail text not null,
    at_ms bigint not null,
    primary key (channel, remote_id)
);
create index message_early_receipt_by_age on message_early_receipt (at_ms);

-- How many messages there are of each channel and status.
create table message_tally (
    channel text collate "C" not null,
    status smallint not null,
    amount bigint not null,
    primary key (channel, status)
) with (fillfactor = 50);

-- What was counted under a budget's name: appended, so that servers do not wait for each other.
create table message_spending (
    budget text collate "C" not null,
    at_ms bigint not null,                   -- begin of the second
    number bigint generated always as identity,
    amount bigint not null,
    primary key (budget, at_ms, number)
);
create index message_spending_by_age on message_spending (at_ms);

-- Text messages that came in. Sender and text are blanked when they are answered; the id stays, so that the same
-- message is known when it comes again.
create table message_inbound (
    position bigint generated always as identity primary key,
    id text collate "C" not null unique,
    sender text collate "C" not null,
    body text not null,
    received_ms bigint not null,
    answered_ms bigint not null              -- 0 = not yet
);
create index message_inbound_waiting on message_inbound (sender, position) where answered_ms = 0;
create index message_inbound_answered on message_inbound (answered_ms, position) where answered_ms > 0;

-- One row for each sender of whom something is to be carried out: one teller at a time does that.
create table message_sender (
    sender text collate "C" primary key,
    position bigint not null,                -- of the first that waited when the row was made
    holder bigint not null                   -- 0 = nobody
);
create index message_sender_free on message_sender (position) where holder = 0;
create index message_sender_held on message_sender (holder) where holder <> 0;

-- Challenges that no message can bring any more.
create table message_undeliverable (
    challenge text collate "C" primary key,
    position bigint not null,                -- of the message that was the last hope
    is_told boolean not null,
    holder bigint not null                   -- the teller who tells it; 0 = nobody
);
create index message_undeliverable_untold on message_undeliverable (position) where not is_told;
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
