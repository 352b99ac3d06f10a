-- Every statement that the store of messages runs. `-- name:` begins one; the comment says what it is for.
-- Where it says `status + 0` or `channel || ''`, an index that would do for a few rows is kept out of the plan on
-- purpose: plans are made once, for any number of rows, and before anybody has counted them.

-- name: begin
-- A transaction as the session has it: its commit does not wait.
begin;

-- name: begin_flushed
-- One whose commit waits as those of decisions do.
begin; select set_config('synchronous_commit', current_setting('zhiwei.flushed'), true);

-- name: as_decisions_commit
-- What commits of decisions wait for in this database, kept for those of ours that shall.
select set_config('zhiwei.flushed', current_setting('synchronous_commit'), false),
    set_config('synchronous_commit', 'off', false);

-- name: commit
-- All of it.
commit;

-- name: rollback
-- Nothing of it.
rollback;

-- name: now
-- The database's clock, UTC ms.
select (extract(epoch from clock_timestamp()) * 1000)::bigint;

-- name: cursor
-- How far the outbox was planned.
select position from message_cursor;

-- name: take_cursor
-- The same, held until the transaction ends; no row where another teller plans.
select position from message_cursor for update skip locked;

-- name: move_cursor
-- Events up to here are planned.
update message_cursor set position = $1::bigint;

-- name: insert_messages
-- New messages in their order; one whose id is known stays as it is.
insert into message (
    id, event_id, kind, card_key, lane, channel, recipient, language, subject, body, created_ms,
    expires_ms, is_urgent, challenge, status, tries, next_ms, planned_ms, changed_ms, remote_id, detail
)
select r.id, r.event_id, r.kind, r.card_key, r.lane, r.channel, r.recipient, r.language, r.subject,
    r.body, r.created_ms, r.expires_ms, r.is_urgent <> 0, r.challenge, r.status, 0, 0, r.planned_ms,
    r.changed_ms, '', r.detail
from unnest(
    $1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::bigint[],
    $16::bigint[], $17::bigint[], $18::text[]
) with ordinality as r (
    id, event_id, kind, card_key, lane, channel, recipient, language, subject, body, created_ms,
    expires_ms, is_urgent, challenge, status, planned_ms, changed_ms, detail, place
)
order by r.place
on conflict (id) do nothing
returning id, position;

-- name: messages_at
-- Those at these positions.
select * from message where position = any($1::bigint[]);

-- name: message_at
-- One message.
select * from message where position = $1::bigint;

-- name: message_by_id
-- One message.
select * from message where id = $1::text;

-- name: hold_messages
-- What changes need to know of messages, which stay as they are until they were made.
select id, position, channel, lane, status, challenge, remote_id from message
where id = any($1::text[]) order by position + 0 for update;

-- name: change_messages
-- What became of them.
update message m set status = r.status, tries = r.tries, next_ms = r.next_ms,
    changed_ms = r.changed_ms, remote_id = r.remote_id, detail = r.detail
from unnest(
    $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[]
) as r (position, status, tries, next_ms, changed_ms, remote_id, detail)
where m.position = r.position;

-- name: requeue_messages
-- They start again; their patience does too.
update message set status = 0, tries = 0, next_ms = 0, planned_ms = $2::bigint, changed_ms = $2::bigint
where position = any($1::bigint[]);

-- name: receipt_message
-- A receipt changes status and words only.
update message set status = $2::bigint, changed_ms = $3::bigint, detail = $4::text
where position = $1::bigint;

-- name: hold_lanes
-- Lanes that are changed next, in one order for everybody.
select 1 from message_lane l join unnest($1::text[], $2::text[]) as k (channel, lane) using (channel, lane)
order by l.channel, l.lane for update of l;

-- name: join_lanes
-- New messages wait behind the others of their lanes; the lists are in the order of lanes.
insert into message_lane as l (channel, lane, is_urgent, next_ms, position, holder)
select j.channel, j.lane, j.is_urgent <> 0, 0, j.position, 0
from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) with ordinality
    as j (channel, lane, is_urgent, position, place)
order by j.place
on conflict (channel, lane) do update set
    is_urgent = excluded.is_urgent or (l.is_urgent and l.position is not null),
    next_ms = case when l.position is null or excluded.position < l.position then 0 else l.next_ms end,
    position = least(l.position, excluded.position);

-- name: refresh_lanes
-- Lanes have other heads, or the heads other instants; those that are over are given back.
update message_lane l set position = h.position, next_ms = coalesce(h.next_ms, 0),
    is_urgent = exists (
        select from message u
        where u.status = 0 and u.is_urgent and u.channel = l.channel and u.lane = l.lane
    ),
    holder = case when l.holder = $4::bigint and k.is_over <> 0 then 0 else l.holder end
from unnest($1::text[], $2::text[], $3::bigint[]) as k (channel, lane, is_over) left join lateral (
    select m.position, m.next_ms from message m
    where m.status = 0 and m.channel = k.channel and m.lane = k.lane order by m.position limit 1
) h on true
where l.channel = k.channel and l.lane = k.lane;

-- name: delete_lanes
-- Nothing waits in them, and nobody has them.
delete from message_lane l using unnest($1::text[], $2::text[]) as k (channel, lane)
where l.channel = k.channel and l.lane = k.lane and l.position is null and l.holder + 0 = 0;

-- name: claim_lanes
-- Lanes whose heads may go now and that nobody else has, for one teller: channel, instant, how many,
-- teller, lanes that are on their way from here.
with candidate as (
    (select lane, is_urgent, position from message_lane
    where holder = 0 and channel = $1::text and is_urgent and next_ms = 0
    order by position limit $3::bigint + cardinality($5::text[]))
    union all
    (select lane, is_urgent, position from message_lane
    where holder = 0 and channel = $1::text and is_urgent and next_ms between 1 and $2::bigint
    order by next_ms limit $3::bigint + cardinality($5::text[]))
    union all
    (select lane, is_urgent, position from message_lane
    where holder = 0 and channel = $1::text and not is_urgent and next_ms = 0
    order by position limit $3::bigint + cardinality($5::text[]))
    union all
    (select lane, is_urgent, position from message_lane
    where holder = 0 and channel = $1::text and not is_urgent and next_ms between 1 and $2::bigint
    order by next_ms limit $3::bigint + cardinality($5::text[]))
    union all
    (select lane, is_urgent, position from message_lane
    where holder <> 0 and holder = $4::bigint and channel || '' = $1::text and next_ms <= $2::bigint
        and position is not null)
), chosen as (
    select l.channel, l.lane from message_lane l join (
        select lane from candidate where lane <> all($5::text[])
        order by is_urgent desc, position limit $3::bigint
    ) c on l.channel = $1::text and l.lane = c.lane
    where l.holder in (0, $4::bigint) and l.next_ms <= $2::bigint and l.position is not null
    for update of l skip locked
)
update message_lane l set holder = $4::bigint from chosen c
where l.channel = c.channel and l.lane = c.lane returning l.position, l.is_urgent;

-- name: count
-- Messages of channels and statuses, more or fewer; the lists are in the order of both.
insert into message_tally as t (channel, status, amount)
select r.channel, r.status, r.amount
from unnest($1::text[], $2::bigint[], $3::bigint[]) with ordinality as r (channel, status, amount, place)
order by r.place
on conflict (channel, status) do update set amount = t.amount + excluded.amount;

-- name: turn_of_receipts
-- A receipt and the note that its message was sent find each other, whichever comes first.
select pg_advisory_xact_lock(2054711145, 21);

-- name: turn_of_challenges
-- Of two tellers who give up the last two messages of a challenge, one sees it.
select pg_advisory_xact_lock(2054711145, 22);

-- name: remember_remotes
-- The other sides' ids of messages; one that is given again belongs to the newer message.
insert into message_remote (channel, remote_id, position)
select * from unnest($1::text[], $2::text[], $3::bigint[])
on conflict (channel, remote_id) do update set position = excluded.position;

-- name: position_of_remote
-- Whose receipt it is.
select position from message_remote where channel = $1::text and remote_id = $2::text;

-- name: keep_receipt
-- Nobody's yet. Of several, the last word counts, but "delivered" stays.
insert into message_early_receipt as e (channel, remote_id, status, detail, at_ms)
values ($1::text, $2::text, $3::bigint, $4::text, $5::bigint)
on conflict (channel, remote_id) do update set status = excluded.status, detail = excluded.detail
where e.status <> 2;

-- name: take_receipts
-- They have found their messages.
delete from message_early_receipt e using unnest($1::text[], $2::text[]) as k (channel, remote_id)
where e.channel = k.channel and e.remote_id = k.remote_id
returning e.channel, e.remote_id, e.status, e.detail;

-- name: forget_receipts
-- They belong to no message of ours.
with gone as (
    delete from message_early_receipt where at_ms < $1::bigint returning 1
) select count(*) from gone;

-- name: hold_remote_message
-- The message that a receipt speaks of, which stays as it is until that is written.
select * from message where position = $1::bigint for update;

-- name: overdue
-- What waits for too long, and is not on its way from another teller.
select m.* from message m where m.status + 0 = 0 and m.channel = $1::text and m.planned_ms < $2::bigint
    and not exists (
        select from message_lane l
        where l.channel = m.channel and l.lane = m.lane and l.holder not in (0, $4::bigint)
    )
order by m.position limit $3::bigint;

-- name: hurry_messages
-- Heads wait no longer than this.
update message m set next_ms = $1::bigint from (
    select w.position from message_lane l join message w on w.position = l.position
    where l.next_ms > 0 and l.next_ms + 0 > $1::bigint for update of w skip locked
) late where m.position = late.position;

-- name: hurry_lanes
-- The same, in their lanes.
update message_lane l set next_ms = $1::bigint from (
    select channel, lane from message_lane where next_ms > 0 and next_ms + 0 > $1::bigint
    for update skip locked
) late where l.channel = late.channel and l.lane = late.lane;

-- name: give_up_challenges
-- Those that no message may still bring, or did: queued, sent, delivered, or pointless.
insert into message_undeliverable (challenge, position, is_told, holder)
select c.challenge, c.position, false, 0 from unnest($1::text[], $2::bigint[]) as c (challenge, position)
where not exists (
    select from message m
    where m.challenge = c.challenge and m.challenge <> '' and m.status in (0, 1, 2, 5)
)
on conflict (challenge) do nothing;

-- name: claim_undeliverable
-- Those of which nobody was told and that no other teller tells, oldest first.
with chosen as (
    select challenge from message_undeliverable where not is_told and holder in (0, $1::bigint)
    order by position limit $2::bigint for update skip locked
), taken as (
    update message_undeliverable u set holder = $1::bigint from chosen c
    where u.challenge = c.challenge returning u.position
)
select m.* from taken join message m using (position) order by m.position;

-- name: told_undeliverable
-- Somebody was.
update message_undeliverable set is_told = true where challenge = $1::text;

-- name: spent
-- What was counted under a name since an instant.
select coalesce(sum(amount), 0)::bigint from message_spending
where budget = $1::text and at_ms >= $2::bigint;

-- name: spend
-- Count.
insert into message_spending (budget, at_ms, amount)
select r.budget, $2::bigint, r.amount from unnest($1::text[], $3::bigint[]) as r (budget, amount);

-- name: insert_inbound
-- A message that came in; the same one again is nothing new.
insert into message_inbound (id, sender, body, received_ms, answered_ms)
values ($1::text, $2::text, $3::text, $4::bigint, 0) on conflict (id) do nothing returning position;

-- name: join_sender
-- It waits behind the others of its sender.
insert into message_sender as s (sender, position, holder) values ($1::text, $2::bigint, 0)
on conflict (sender) do update set position = least(s.position, excluded.position);

-- name: claim_senders
-- Senders whom no other teller has, up to a number in all.
with free as (
    select sender from message_sender where holder = 0 order by position
    limit greatest(0, $2::bigint - (
        select count(*) from message_sender where holder <> 0 and holder = $1::bigint
    ))
    for update skip locked
)
update message_sender s set holder = $1::bigint from free where s.sender = free.sender;

-- name: unanswered
-- What those senders said and was not carried out yet, oldest first.
select i.id, i.sender, i.body, i.received_ms from message_inbound i join message_sender s using (sender)
where s.holder <> 0 and s.holder = $1::bigint and i.answered_ms = 0 order by i.position limit $2::bigint;

-- name: waiting_inbound
-- How many wait to be carried out, whoever does it.
select count(*) from message_inbound where answered_ms = 0;

-- name: answer_inbound
-- It was carried out; who had sent it.
with one as (
    select id, sender from message_inbound where id = $1::text and answered_ms = 0 for update
)
update message_inbound i set answered_ms = $2::bigint, sender = '', body = '' from one
where i.id = one.id returning one.sender;

-- name: hold_senders
-- Senders that are looked at next, in one order for everybody.
select 1 from message_sender where sender = any($1::text[]) order by sender for update;

-- name: delete_senders
-- Nothing of theirs waits.
delete from message_sender s where s.sender = any($1::text[]) and not exists (
    select from message_inbound i where i.sender = s.sender and i.answered_ms = 0
);

-- name: oldest_messages
-- A few of the oldest, from a position on; the caller looks which of them are over.
select position, status, changed_ms from message
where position > $1::bigint order by position limit $2::bigint;

-- name: delete_messages
-- Forget them, where nobody has queued them again meanwhile.
delete from message where position = any($1::bigint[]) and status <> 0 and changed_ms < $2::bigint
returning position, channel, status, challenge;

-- name: delete_remotes
-- Forget the ids that the other sides gave them.
delete from message_remote where position = any($1::bigint[]);

-- name: delete_undeliverable
-- Forget that their challenges could not be delivered.
delete from message_undeliverable where challenge = any($1::text[]) and is_told;

-- name: delete_spending
-- Forget what was counted.
with gone as (
    delete from message_spending where (budget, at_ms, number) in (
        select budget, at_ms, number from message_spending where at_ms < $1::bigint
        limit $2::bigint for update skip locked
    ) returning 1
) select count(*) from gone;

-- name: delete_inbound
-- Forget what was answered.
with gone as (
    delete from message_inbound where position in (
        select position from message_inbound where answered_ms > 0 and answered_ms <= $1::bigint
        order by position limit $2::bigint for update skip locked
    ) returning 1
) select count(*) from gone;

-- name: queued
-- How many of a channel wait.
select amount from message_tally where channel = $1::text and status = 0;

-- name: oldest_queued
-- The first of a channel that still waits.
select planned_ms from message where status + 0 = 0 and channel = $1::text order by position limit 1;

-- name: backlog
-- All the counts.
select channel, status, amount from message_tally where amount <> 0;

-- name: teller
-- Whether a teller is known, and whether it is late by now.
select held_until < clock_timestamp() from message_teller where id = $1::bigint for update;

-- name: begin_to_tell
-- It lives; for so many seconds it need not say so again.
insert into message_teller (id, held_until)
values ($1::bigint, clock_timestamp() + make_interval(secs => $2::bigint))
on conflict (id) do update set held_until = excluded.held_until;

-- name: spare_the_late
-- The database was away for all of them: none is taken for dead before it could have said otherwise.
update message_teller t set held_until = clock_timestamp() + make_interval(secs => $1::bigint) from (
    select id from message_teller where held_until < clock_timestamp() order by id for update skip locked
) late where t.id = late.id;

-- name: bury_tellers
-- Those that have said nothing for too long.
delete from message_teller where id in (
    select id from message_teller where held_until < clock_timestamp() for update skip locked
) returning id;

-- name: forget_teller
-- It ends.
delete from message_teller where id = $1::bigint;

-- name: free_lanes
-- Lanes of one teller, and of those that are no more.
with gone as (
    select channel, lane from message_lane l where holder <> 0 and (
        holder = $1::bigint or not exists (select from message_teller t where t.id = l.holder)
    ) for update skip locked
), over as (
    delete from message_lane l using gone g
    where l.channel = g.channel and l.lane = g.lane and l.position is null
)
update message_lane l set holder = 0 from gone g
where l.channel = g.channel and l.lane = g.lane and l.position is not null;

-- name: free_senders
-- Senders of one teller, and of those that are no more.
update message_sender s set holder = 0 from (
    select sender from message_sender h where holder <> 0 and (
        holder = $1::bigint or not exists (select from message_teller t where t.id = h.holder)
    ) for update skip locked
) gone where s.sender = gone.sender;

-- name: free_undeliverable
-- What one teller was telling, and those that are no more.
update message_undeliverable u set holder = 0 from (
    select challenge from message_undeliverable h where holder <> 0 and not is_told and (
        holder = $1::bigint or not exists (select from message_teller t where t.id = h.holder)
    ) for update skip locked
) gone where u.challenge = gone.challenge;
