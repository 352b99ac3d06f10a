-- Every statement that the store runs. `-- name:` begins one; the comment says what it is for.

-- name: cursor
-- How far the outbox was planned.
select position from cursor;

-- name: move_cursor
-- Events up to here are planned.
update cursor set position = ?;

-- name: insert_message
-- A new message; one whose id is known stays as it is.
insert into message (
    id, event_id, kind, card_key, lane, channel, recipient, language, subject, body, created_ms,
    expires_ms, is_urgent, challenge, status, tries, next_ms, planned_ms, changed_ms, remote_id,
    detail
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, '', ?)
on conflict (id) do nothing;

-- name: join_lane
-- A new message waits behind the others of its lane.
insert into lane (channel, lane, is_urgent, next_ms, position) values (?, ?, ?, 0, ?)
on conflict (channel, lane) do update set is_urgent = max(is_urgent, excluded.is_urgent);

-- name: head_of_lane
-- The first of those that wait in a lane, by urgency; the caller takes the smaller of two.
select position, next_ms from message
where status = 0 and channel = ? and lane = ? and is_urgent = ? order by position limit 1;

-- name: set_lane
-- A lane has another head, or the head another instant.
insert or replace into lane (channel, lane, is_urgent, next_ms, position) values (?, ?, ?, ?, ?);

-- name: delete_lane
-- Nothing waits in it any more.
delete from lane where channel = ? and lane = ?;

-- name: ready_heads
-- Heads that may go at once.
select lane, position from lane
where channel = ? and is_urgent = ? and next_ms = 0 order by position limit ?;

-- name: rested_heads
-- Heads whose pause is over.
select lane, position from lane
where channel = ? and is_urgent = ? and next_ms between 1 and ? order by next_ms limit ?;

-- name: message_at
-- One message.
select * from message where position = ?;

-- name: message_by_id
-- One message.
select * from message where id = ?;

-- name: state_by_id
-- What a change needs to know of a message.
select position, lane, channel, status, challenge, remote_id from message where id = ?;

-- name: change_message
-- What became of it. An empty remote id leaves the old one.
update message set status = ?, tries = ?, next_ms = ?, changed_ms = ?,
    remote_id = case ? when '' then remote_id else ? end, detail = ?
where position = ?;

-- name: requeue_message
-- It starts again; its patience does too.
update message set status = 0, tries = 0, next_ms = 0, planned_ms = ?, changed_ms = ? where position = ?;

-- name: receipt_message
-- A receipt changes status and words only.
update message set status = ?, changed_ms = ?, detail = ? where position = ?;

-- name: count
-- Messages of a channel and status, more or fewer.
insert into tally (channel, status, amount) values (?, ?, ?)
on conflict (channel, status) do update set amount = amount + excluded.amount;

-- name: remember_remote
-- The other side's id of a message; one that is given again belongs to the newer message.
insert or replace into remote (channel, remote_id, position) values (?, ?, ?);

-- name: position_of_remote
-- Whose receipt it is.
select position from remote where channel = ? and remote_id = ?;

-- name: keep_receipt
-- Nobody's yet. Of several, the last word counts, but "delivered" stays.
insert into early_receipt (channel, remote_id, status, detail, at_ms) values (?, ?, ?, ?, ?)
on conflict (channel, remote_id) do update set status = excluded.status, detail = excluded.detail
where status <> 2;

-- name: take_receipt
-- It has found its message.
delete from early_receipt where channel = ? and remote_id = ? returning status, detail;

-- name: any_receipt
-- Whether there are early ones at all; mostly there are none.
select exists (select 1 from early_receipt);

-- name: forget_receipts
-- They belong to no message of ours.
delete from early_receipt where at_ms < ?;

-- name: overdue
-- What waits for too long.
select * from message where status = 0 and channel = ? and planned_ms < ? order by position limit ?;

-- name: late_heads
-- Heads that wait for an instant that is too far away.
select channel, lane, position from lane where next_ms > ?;

-- name: hurry_lane
-- It waits no longer than this.
update lane set next_ms = ? where channel = ? and lane = ?;

-- name: hurry_message
-- The same, in the message itself.
update message set next_ms = ? where position = ?;

-- name: hopes
-- Messages of a challenge that may still bring it, or did: queued, sent, delivered, or pointless.
select count(*) from message where challenge = ? and challenge <> '' and status in (0, 1, 2, 5);

-- name: give_up_challenge
-- It cannot be delivered.
insert into undeliverable (challenge, position, is_told) values (?, ?, 0)
on conflict (challenge) do nothing;

-- name: undeliverable
-- Those of which nobody was told, oldest first.
select message.* from undeliverable join message using (position)
where is_told = 0 order by position limit ?;

-- name: told_undeliverable
-- Somebody was.
update undeliverable set is_told = 1 where challenge = ?;

-- name: spending
-- What was counted under a name, by second.
select at_ms, amount from spending where budget = ?;

-- name: spend
-- Count one.
insert into spending (budget, at_ms, amount) values (?, ?, 1)
on conflict (budget, at_ms) do update set amount = amount + 1;

-- name: insert_inbound
-- A message that came in; the same one again is nothing new.
insert into inbound (id, sender, body, received_ms, answered_ms) values (?, ?, ?, ?, 0)
on conflict (id) do nothing;

-- name: unanswered
-- Those that were not carried out yet, oldest first.
select id, sender, body, received_ms from inbound where answered_ms = 0 order by position limit ?;

-- name: waiting_inbound
-- How many those are.
select count(*) from inbound where answered_ms = 0;

-- name: answer_inbound
-- It was carried out.
update inbound set answered_ms = ?, sender = '', body = '' where id = ?;

-- name: oldest_messages
-- A few of the oldest, from a position on; the caller looks which of them are over.
select position, channel, status, challenge, changed_ms from message
where position > ? order by position limit ?;

-- name: delete_message
-- Forget it.
delete from message where position = ?;

-- name: delete_remotes
-- Forget the ids that the other side gave it.
delete from remote where position = ?;

-- name: delete_undeliverable
-- Forget that its challenge could not be delivered.
delete from undeliverable where challenge = ? and is_told = 1;

-- name: delete_spending
-- Forget what was counted.
delete from spending where (budget, at_ms) in (
    select budget, at_ms from spending where at_ms < ? limit ?
);

-- name: delete_inbound
-- Forget what was answered.
delete from inbound where position in (
    select position from inbound where answered_ms between 1 and ? order by position limit ?
);

-- name: backlog
-- All the counts.
select channel, status, amount from tally where amount <> 0;

-- name: queued
-- How many of a channel wait.
select amount from tally where channel = ? and status = 0;

-- name: oldest_queued
-- The first of a channel that still waits.
select planned_ms from message where status = 0 and channel = ? order by position limit 1;

-- name: messages_of_event
-- Their ids begin with its own.
select * from message where id >= ? and id < ? order by position;
