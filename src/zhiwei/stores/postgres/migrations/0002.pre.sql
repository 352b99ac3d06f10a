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
