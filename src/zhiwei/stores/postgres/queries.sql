-- Every statement that the store runs while it serves. `-- name:` begins one; the comment says what it is
-- for. Those of the path are prepared on each of its connections and take arrays, one item for each row.

-- name: begin
-- Whatever the database's default is.
begin isolation level read committed;

-- name: commit
-- Returns when everything is durable.
commit;

-- name: rollback
-- Nothing happened.
rollback;

-- name: lock_files
-- Files of cards, locked in order of their keys, so that no two batches wait for each other.
select card_key, version, settings, usage, recent from card_state
where card_key = any($1::bytea[]) order by card_key for no key update;

-- name: lock_free_files
-- The same, passing over those that another server holds.
select card_key, version, settings, usage, recent from card_state
where card_key = any($1::bytea[]) order by card_key for no key update skip locked;

-- name: known_cards
-- Which of these cards there are.
select card_key from card_state where card_key = any($1::bytea[]);

-- name: entries_wanted
-- Entries of cards by version, filed between two instants, and the latest ones of their groups.
select w.card_key, w.version, j.body, h.latest, l.body
from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
    as w (card_key, version, from_ms, before_ms)
join journal j on j.card_key = w.card_key and j.version = w.version
    and j.filed_ms >= w.from_ms and j.filed_ms < w.before_ms
left join group_head h on h.card_key = j.card_key and h.version = j.group_version
left join journal l on l.card_key = h.card_key and l.version = h.latest
    and l.filed_ms = h.filed_ms;

-- name: old_versions_wanted
-- Entries filed under digests that have left their cards' files.
select w.card_key, w.digest, o.version, o.second
from unnest($1::bytea[], $2::bytea[]) as w (card_key, digest)
join old_key o on o.card_key = w.card_key and o.digest = w.digest;

-- name: insert_files
-- New cards' files.
insert into card_state (card_key, cardholder, settings, version, usage, recent)
select * from unnest($1::bytea[], $2::text[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bytea[]);

-- name: update_files
-- Files that moved on from the version that was read. Null: the part did not change. Fails (division by
-- zero), and with it everything else, should one of them not be at that version any more.
with moved as (
    update card_state c
    set settings = coalesce(w.settings, c.settings), version = w.version, usage = w.usage,
        recent = coalesce(w.recent, c.recent)
    from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[])
        as w (card_key, version_before, version, settings, usage, recent)
    where c.card_key = w.card_key and c.version = w.version_before
    returning 1
)
select 1 / (count(*) = $7::bigint)::integer from moved;

-- name: insert_entries
-- Journal rows, in order.
insert into journal (card_key, version, filed_ms, group_version, body)
select * from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]);

-- name: put_heads
-- The latest entries of groups.
insert into group_head (card_key, version, latest, filed_ms)
select * from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[])
on conflict (card_key, version)
do update set latest = excluded.latest, filed_ms = excluded.filed_ms;

-- name: insert_old_keys
-- Digests move out of their cards' files.
insert into old_key (card_key, digest, version, second)
select * from unnest($1::bytea[], $2::bytea[], $3::bigint[], $4::bigint[]);

-- name: insert_events
-- Events of the outbox, in order.
insert into event (card_key, number, filed_ms, version, body)
select * from unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[]);

-- name: insert_audits
-- Lines of the audit trail, in order.
insert into audit (card_key, body) select * from unnest($1::bytea[], $2::bytea[]);

-- name: put_records
-- Keep records, or their newer forms. Fails, by dividing by zero, where one would take the place of one that
-- stands (coding.record.stands).
with kept as (
    insert into record as r (kind, id, subject, created_ms, body)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bytea[])
    on conflict (kind, id) do update
    set subject = excluded.subject, created_ms = excluded.created_ms, body = excluded.body
    where r.body = excluded.body or case r.kind
        when 'stored_answer' then r.created_ms <= $6::bigint
        when 'policy_change' then r.subject = 'proposed' else true
    end
    returning 1
)
select 1 / (count(*) = $7::bigint)::integer from kept;

-- name: policy_turn
-- Policies are adopted by one server at a time.
select pg_advisory_xact_lock(2054711145, 7);

-- name: policy_follows
-- Fails, by dividing by zero, unless exactly so many policies were adopted before.
select 1 / (count(*) = $1::bigint)::integer from record
where kind = 'policy_change' and subject = 'adopted';

-- name: record_turns
-- Of those who mind what they replace, one at a time changes a record. Always in the same order, so that two
-- do not wait for each other.
select pg_advisory_xact_lock(hashtextextended(name, 2054711145)) from (
    select kind || '/' || id as name from unnest($1::text[], $2::text[]) as w (kind, id) order by 1
) as ordered;

-- name: record_bodies
-- What is kept under these names; null where nothing is.
select r.body from unnest($1::text[], $2::text[]) with ordinality as w (kind, id, place)
left join record r using (kind, id) order by w.place;

-- name: old_keys_from
-- The next portion of digests to look through for ones to forget.
select card_key, digest, version, second from old_key
where (card_key, digest, version) > ($1::bytea, $2::bytea, $3::bigint)
order by card_key, digest, version limit $4::bigint;

-- name: delete_old_keys
-- Forget digests.
delete from old_key o using unnest($1::bytea[], $2::bytea[], $3::bigint[])
    as w (card_key, digest, version)
where o.card_key = w.card_key and o.digest = w.digest and o.version = w.version;

-- name: delete_records
-- Forget a portion of the records of a kind that are older than an instant.
delete from record where kind = $1::text and id in (
    select id from record where kind = $1::text and created_ms < $2::bigint order by id
    limit $3::bigint
);

-- name: chain_of_entry
-- The hash of an entry, to see whether it was written.
select substr(body, 1, 16) from journal
where card_key = $1::bytea and version = $2::bigint and filed_ms = $3::bigint;

-- name: one_at_a_time
-- Schema and partitions are made by one server at a time.
select pg_advisory_xact_lock(2054711145, 1);

-- name: partitions
-- Partitions that there are.
select child.relname
from pg_inherits i
join pg_class child on child.oid = i.inhrelid
where i.inhparent in (to_regclass('journal'), to_regclass('event'));

-- name: server_facts
-- What the promises rest on. Settings are those that a session of this user begins with; limits of
-- connections hold for everybody but superusers, -1 is none.
select name, reset_val from pg_settings
where name in (
    'server_version_num', 'server_encoding', 'fsync', 'full_page_writes', 'synchronous_commit',
    'synchronous_standby_names', 'default_transaction_read_only', 'max_connections',
    'statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout',
    'idle_session_timeout', 'transaction_timeout'
)
union all select 'in_recovery', pg_is_in_recovery()::text
union all select 'user', current_user
union all select 'user_connections', (
    select case when rolsuper then -1 else rolconnlimit end::text from pg_roles
    where rolname = current_user
)
union all select 'database_connections', (
    select case when (select rolsuper from pg_roles where rolname = current_user) then -1
        else datconnlimit end::text
    from pg_database where datname = current_database()
)
union all select 'reserved_connections', (
    select sum(setting::integer)::text from pg_settings
    where name in ('superuser_reserved_connections', 'reserved_connections')
)
union all select 'clock_ms', floor(extract(epoch from clock_timestamp()) * 1000)::bigint::text;

-- name: own_tables
-- Tables of the current schema that have our names.
select relname from pg_class
where relkind in ('r', 'p') and relnamespace = (select current_schema()::regnamespace)
    and relname = any($1::text[]);

-- name: schema_number
-- The number of the schema, and the number up to which it is finished.
select number, finished from zhiwei_schema;

-- name: serve_schema
-- Held by whoever writes, under the number of the schema that its program knows, while it is connected.
select pg_advisory_lock_shared(2054711145, (1000 + $1::bigint)::integer);

-- name: finished
-- Who knows fewer schemas than this may not serve; and what time it is (UTC ms).
select finished::bigint, floor(extract(epoch from clock_timestamp()) * 1000)::bigint
from zhiwei_schema;

-- name: nobody_serves
-- Whether no server that knows this schema and no newer one is connected; none can come meanwhile.
select pg_try_advisory_xact_lock(2054711145, (1000 + $1::bigint)::integer);

-- name: file
-- The file of one card.
select settings, usage from card_state where card_key = $1::bytea;

-- name: entry
-- One entry of a card.
select body from journal where card_key = $1::bytea and version = $2::bigint;

-- name: entries_of_card_before
-- Entries of a card, newest first.
select version, body from journal
where card_key = $1::bytea and version < $2::bigint and version > $3::bigint
order by version desc limit $4::bigint;

-- name: entries_of_card_after
-- Entries of a card, oldest first.
select version, body from journal
where card_key = $1::bytea and version > $2::bigint order by version limit $3::bigint;

-- name: latest_of_group
-- The version of the latest entry of a group.
select latest from group_head where card_key = $1::bytea and version = $2::bigint;

-- name: position
-- Where an entry stands in the whole journal.
select position from journal where card_key = $1::bytea and version = $2::bigint;

-- name: entries_before
-- The journal, newest first.
select position, card_key, version, body from journal
where position < $1::bigint and position > $2::bigint order by position desc limit $3::bigint;

-- name: entries_after
-- The journal, oldest first.
select position, card_key, version, body from journal
where position > $1::bigint order by position limit $2::bigint;

-- name: files_after
-- Files in order of their cards' keys.
select card_key, settings, usage from card_state
where card_key > $1::bytea order by card_key limit $2::bigint;

-- name: files_before
-- Files in falling order of their cards' keys.
select card_key, settings, usage from card_state
where card_key < $1::bytea order by card_key desc limit $2::bigint;

-- name: files_of_cardholder_after
-- A cardholder's files in order of their cards' keys.
select card_key, settings, usage from card_state
where cardholder = $1::text and card_key > $2::bytea order by card_key limit $3::bigint;

-- name: files_of_cardholder_before
-- A cardholder's files in falling order of their cards' keys.
select card_key, settings, usage from card_state
where cardholder = $1::text and card_key < $2::bytea order by card_key desc limit $3::bigint;

-- name: record
-- One record.
select id, body from record where kind = $1::text and id = $2::text;

-- name: adopted_policies
-- How many policies were adopted; an index answers it.
select count(*) from record where kind = 'policy_change' and subject = 'adopted';

-- name: records_before
-- Records of a kind, greatest id first.
select id, body from record
where kind = $1::text and id < $2::text and id > $3::text order by id desc limit $4::bigint;

-- name: records_after
-- Records of a kind, smallest id first.
select id, body from record
where kind = $1::text and id > $2::text order by id limit $3::bigint;

-- name: records_of_subject_before
-- Records of a kind and subject, greatest id first.
select id, body from record
where kind = $1::text and subject = $2::text and id < $3::text and id > $4::text
order by id desc limit $5::bigint;

-- name: records_of_subject_after
-- Records of a kind and subject, smallest id first.
select id, body from record
where kind = $1::text and subject = $2::text and id > $3::text order by id limit $4::bigint;

-- name: audits_before
-- The audit trail, newest first.
select position, card_key, body from audit
where position < $1::bigint and position > $2::bigint order by position desc limit $3::bigint;

-- name: audits_after
-- The audit trail, oldest first.
select position, card_key, body from audit
where position > $1::bigint order by position limit $2::bigint;

-- name: audits_of_card_before
-- A card's audit trail, newest first.
select position, card_key, body from audit
where card_key = $1::bytea and position < $2::bigint and position > $3::bigint
order by position desc limit $4::bigint;

-- name: audits_of_card_after
-- A card's audit trail, oldest first.
select position, card_key, body from audit
where card_key = $1::bytea and position > $2::bigint order by position limit $3::bigint;

-- name: events_before
-- The outbox, newest first.
select position, card_key, version, body from event
where position < $1::bigint and position > $2::bigint order by position desc limit $3::bigint;

-- name: events_after
-- The outbox, oldest first.
select position, card_key, version, body from event
where position > $1::bigint order by position limit $2::bigint;

-- name: events_of_card_before
-- A card's events, newest first; ordered by number, so that the card's own index is walked.
select position, card_key, version, body from event
where card_key = $1::bytea and position < $2::bigint and position > $3::bigint
order by number desc limit $4::bigint;

-- name: events_of_card_after
-- A card's events, oldest first.
select position, card_key, version, body from event
where card_key = $1::bytea and position > $2::bigint order by number limit $3::bigint;

-- name: event
-- One event of a card.
select position, card_key, version, body from event
where card_key = $1::bytea and number = $2::bigint;

-- name: planned_position
-- Events up to here were settled for whoever planned messages of them.
select position from message_cursor;

-- name: event_position
-- The last position that was given to an event; 0 = none was.
select case when is_called then last_value else 0 end from event_position;

-- name: next_transaction
-- A number above those of all transactions that began to write before.
select pg_current_xact_id()::text::bigint;

-- name: oldest_transaction
-- A number that no transaction which still writes is below.
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- name: counts
-- How much there is to read.
select (select count(*) from journal), (select count(*) from event), (select count(*) from audit),
    (select coalesce(max(position), 0) from journal);

-- name: all_entries
-- The journal in its order.
select position, card_key, version, body from journal order by position;

-- name: all_events
-- The outbox in its order.
select position, card_key, version, body from event order by position;

-- name: all_audits
-- The audit trail in its order.
select position, card_key, body from audit order by position;

-- name: all_records
-- Every record.
select kind, id, subject, created_ms, body from record order by kind, id;

-- name: all_keys
-- Every API key, oldest first.
select id, created_ms, secret_hash, scope, subject, label, revoked_ms
from api_key order by created_ms, id;

-- name: entries_by_card
-- The journal, card by card.
select card_key, version, filed_ms, group_version, body from journal
where card_key > $1::bytea order by card_key, version, filed_ms;

-- name: events_by_card
-- The outbox, card by card.
select card_key, number, filed_ms, version, body from event
where card_key > $1::bytea order by card_key, number, filed_ms;

-- name: audits_by_card
-- The audit trail, card by card.
select card_key, position, body from audit
where card_key > $1::bytea order by card_key, position;

-- name: files_by_card
-- All columns of all files.
select card_key, cardholder, version, settings, usage, recent from card_state
where card_key > $1::bytea order by card_key;

-- name: heads_by_card
-- The latest entries of groups, card by card.
select card_key, version, latest, filed_ms from group_head
where card_key > $1::bytea order by card_key, version;

-- name: old_keys_by_card
-- Digests that have left their cards' files, card by card.
select card_key, digest, version, second from old_key
where card_key > $1::bytea order by card_key, digest, version;
