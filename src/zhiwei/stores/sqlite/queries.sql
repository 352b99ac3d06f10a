-- Every statement that the store runs while it serves. `-- name:` begins one; the comment says what
-- it is for.

-- name: last_positions
-- Where journal, outbox, audit trail, log and cards go on, and where the log begins (0 = it is empty).
select
    (select coalesce(max(position), 0) from journal),
    (select coalesce(max(position), 0) from event),
    (select coalesce(max(position), 0) from audit),
    (select coalesce(max(number), 0) from state_log),
    (select coalesce(max(number), 0) from card_state),
    (select coalesce(min(number), 0) from state_log);

-- name: insert_card
-- A new card's file.
insert into card_state (number, card_key, cardholder, version, settings, usage, recent)
values (?, ?, ?, ?, ?, ?, ?);

-- name: rewrite_card
-- The sweep brings a file up to date.
update card_state set version = ?, settings = ?, usage = ?, recent = ? where number = ?;

-- name: card_by_key
-- The file of one card.
select number, card_key, settings, usage, recent from card_state where card_key = ?;

-- name: cards_by_keys
-- The files of many cards; stands here for one, `rows.py` asks for more at once.
select number, card_key, settings, usage, recent from card_state where card_key in (?);

-- name: card_by_number
-- The file of one card that the log speaks of.
select number, card_key, settings, usage, recent from card_state where number = ?;

-- name: cards_after
-- The next files by number, to be read into memory.
select number, card_key, settings, usage, recent from card_state
where number > ? order by number limit ?;

-- name: count_cards
-- How many there are.
select count(*) from card_state;

-- name: insert_images
-- Images of the files that this commit moves.
insert into state_log (number, body) values (?, ?);

-- name: images
-- The log, oldest first.
select number, body from state_log order by number;

-- name: delete_images
-- The sweep has passed these.
delete from state_log where number <= ?;

-- name: insert_entry
-- One journal row.
insert into journal (position, card_key, version, body) values (?, ?, ?, ?);

-- name: entry_at
-- One journal row.
select card_key, version, body from journal where position = ?;

-- name: link_at
-- Whose row this is, and where the card's row before stands.
select card_key, version, substr(body, 33, 6) from journal where position = ?;

-- name: entries_before
-- The journal, newest first.
select position, card_key, version, body from journal
where position < ? and position > ? order by position desc limit ?;

-- name: entries_after
-- The journal, oldest first.
select position, card_key, version, body from journal where position > ? order by position limit ?;

-- name: insert_mark
-- A place to start walking from.
insert into journal_mark (card_key, version, position) values (?, ?, ?);

-- name: mark_from
-- The nearest place at or above a version.
select version, position from journal_mark
where card_key = ? and version >= ? order by version limit 1;

-- name: put_head
-- The latest entry of a group.
insert into group_head (card_key, version, position) values (?, ?, ?)
on conflict (card_key, version) do update set position = excluded.position;

-- name: head_of
-- The latest entry of a group.
select position from group_head where card_key = ? and version = ?;

-- name: insert_old_key
-- A digest moves out of its card's file. The same move again (after a restart) changes nothing.
insert or replace into old_key (card_key, digest, version, second) values (?, ?, ?, ?);

-- name: old_versions
-- Entries filed under a digest and not yet forgotten.
select version from old_key where card_key = ? and digest = ? and second > ? order by version;

-- name: old_keys_from
-- The next portion of digests to look through for ones to forget.
select card_key, digest, version, second from old_key
where (card_key, digest, version) > (?, ?, ?) order by card_key, digest, version limit ?;

-- name: delete_old_key
-- Forget a digest.
delete from old_key where card_key = ? and digest = ? and version = ?;

-- name: insert_event
-- One event of the outbox.
insert into event (position, card_key, version, body) values (?, ?, ?, ?);

-- name: event_at
-- One event.
select card_key, version, body from event where position = ?;

-- name: events_before
-- The outbox, newest first.
select position, card_key, version, body from event
where position < ? and position > ? order by position desc limit ?;

-- name: events_after
-- The outbox, oldest first.
select position, card_key, version, body from event where position > ? order by position limit ?;

-- name: insert_audit
-- One line of the audit trail.
insert into audit (position, card_key, body) values (?, ?, ?);

-- name: audits_before
-- The audit trail, newest first.
select position, card_key, body from audit
where position < ? and position > ? order by position desc limit ?;

-- name: audits_after
-- The audit trail, oldest first.
select position, card_key, body from audit where position > ? order by position limit ?;

-- name: audits_of_card_before
-- A card's audit trail, newest first.
select position, card_key, body from audit
where card_key = ? and position < ? and position > ? order by position desc limit ?;

-- name: audits_of_card_after
-- A card's audit trail, oldest first.
select position, card_key, body from audit
where card_key = ? and position > ? order by position limit ?;

-- name: keys_after
-- Cards in order of their key.
select card_key from card_state where card_key > ? order by card_key limit ?;

-- name: keys_before
-- Cards in falling order of their key.
select card_key from card_state where card_key < ? order by card_key desc limit ?;

-- name: keys_of_cardholder_after
-- A cardholder's cards in order of their key.
select card_key from card_state where cardholder = ? and card_key > ? order by card_key limit ?;

-- name: keys_of_cardholder_before
-- A cardholder's cards in falling order of their key.
select card_key from card_state
where cardholder = ? and card_key < ? order by card_key desc limit ?;

-- name: put_record
-- Keep a record, or its newer form; not in the place of one that stands (coding.record.stands).
insert into record (kind, id, subject, created_ms, body) values (?, ?, ?, ?, ?)
on conflict (kind, id) do update
set subject = excluded.subject, created_ms = excluded.created_ms, body = excluded.body
where body = excluded.body or case kind
    when 'stored_answer' then created_ms <= ? when 'policy_change' then subject = 'proposed' else true
end;

-- name: record
-- One record.
select id, body from record where kind = ? and id = ?;

-- name: records_before
-- Records of a kind, greatest id first.
select id, body from record where kind = ? and id < ? and id > ? order by id desc limit ?;

-- name: records_after
-- Records of a kind, smallest id first.
select id, body from record where kind = ? and id > ? order by id limit ?;

-- name: records_of_subject_before
-- Records of a kind and subject, greatest id first.
select id, body from record
where kind = ? and subject = ? and id < ? and id > ? order by id desc limit ?;

-- name: records_of_subject_after
-- Records of a kind and subject, smallest id first.
select id, body from record where kind = ? and subject = ? and id > ? order by id limit ?;

-- name: delete_records
-- Forget a portion of the records of a kind that are older than an instant.
delete from record where kind = ? and id in (
    select id from record where kind = ? and created_ms < ? order by id limit ?
);

-- name: all_records
-- Every record, for verify and export.
select kind, id, subject, created_ms, body from record order by kind, id;

-- name: all_old_keys
-- Every digest that has left its card's file, for verify.
select card_key, digest, version, second from old_key order by card_key, digest, version;

-- name: all_card_rows
-- Every file's row as it stands, for verify.
select number, card_key, cardholder, version, settings, usage, recent
from card_state order by number;

-- name: all_heads
-- Every group's latest entry, for verify.
select card_key, version, position from group_head order by card_key, version;

-- name: all_marks
-- Every mark, for verify.
select card_key, version, position from journal_mark order by card_key, version;
