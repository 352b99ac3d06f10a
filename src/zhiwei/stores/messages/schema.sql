-- The whole schema of messages.db as it is now; a new file is made from this.

-- How far the outbox of the main store has been planned: one row.
create table cursor (
    only integer primary key check (only = 1),
    position integer not null
) strict;
insert into cursor values (1, 0);

-- A message with its story. `status` is the number of messaging.model.Status.
create table message (
    position integer primary key autoincrement,
    id text not null,
    event_id text not null,
    kind text not null,
    card_key blob not null,
    lane text not null,
    channel text not null,
    recipient text not null,
    language text not null,
    subject text not null,
    body text not null,
    created_ms integer not null,
    expires_ms integer not null,
    is_urgent integer not null,
    challenge text not null,
    status integer not null,
    tries integer not null,
    next_ms integer not null,
    planned_ms integer not null,
    changed_ms integer not null,
    remote_id text not null,
    detail text not null
) strict;
-- Also finds the messages of an event: their ids begin with its own.
create unique index message_by_id on message (id);
create index message_by_card on message (card_key, position) where card_key <> x'';
create index message_by_challenge on message (challenge) where challenge <> '';
-- Finds the next head of a lane.
create index message_waiting on message (channel, lane, is_urgent, position) where status = 0;
create index message_queued on message (channel, position) where status = 0;
-- For lists of what was not sent, which is little: failed, dead, expired, muted, held back.
create index message_unsent on message (status, position) where status > 2;

-- One row for each lane in which something waits, with its head: what may go out next.
create table lane (
    channel text not null,
    lane text not null,
    is_urgent integer not null, -- something in the lane is; it cannot overtake, so all of it hurries
    next_ms integer not null,   -- of the head
    position integer not null,  -- of the head
    primary key (channel, lane)
) strict, without rowid;
create index lane_by_turn on lane (channel, is_urgent, next_ms, position);

-- Ids that the other sides gave, for their receipts. A repeat of a message has a second one.
create table remote (
    channel text not null,
    remote_id text not null,
    position integer not null,
    primary key (channel, remote_id)
) strict, without rowid;
create index remote_by_position on remote (position);

-- Receipts that came before their message was noted as sent, or that belong to none.
create table early_receipt (
    channel text not null,
    remote_id text not null,
    status integer not null,
    detail text not null,
    at_ms integer not null,
    primary key (channel, remote_id)
) strict, without rowid;
create index early_receipt_by_age on early_receipt (at_ms);

-- How many messages there are of each channel and status.
create table tally (
    channel text not null,
    status integer not null,
    amount integer not null,
    primary key (channel, status)
) strict, without rowid;

-- What was counted under a budget's name in each second.
create table spending (
    budget text not null,
    at_ms integer not null, -- begin of the second
    amount integer not null,
    primary key (budget, at_ms)
) strict, without rowid;
create index spending_by_age on spending (at_ms);

-- Text messages that came in. Sender and text are blanked when they are answered; the id stays, so
-- that the same message is known when it comes again.
create table inbound (
    position integer primary key autoincrement,
    id text not null unique,
    sender text not null,
    body text not null,
    received_ms integer not null,
    answered_ms integer not null -- 0 = not yet
) strict;
create index inbound_waiting on inbound (position) where answered_ms = 0;

-- Challenges that no message can bring any more.
create table undeliverable (
    challenge text primary key,
    position integer not null, -- of the message that was the last hope
    is_told integer not null
) strict, without rowid;
create index undeliverable_untold on undeliverable (position) where is_told = 0;
