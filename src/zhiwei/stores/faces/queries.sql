-- Every statement that the store runs. `-- name:` begins one; the comment says what it is for.

-- name: add_session
-- A new visit.
insert into session (id, face, subject, cardholder, role, proof, created_ms, seen_ms, csrf)
values (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: session
-- A visit by the hash of its cookie.
select id, face, subject, cardholder, role, proof, created_ms, seen_ms, csrf
from session where id = ?;

-- name: touch_session
-- It was used; a late writer never makes it look older.
update session set seen_ms = ?2 where id = ?1 and seen_ms < ?2;

-- name: end_session
-- One visit is over.
delete from session where id = ?;

-- name: end_sessions_of
-- All visits of somebody are over.
delete from session where subject = ?;

-- name: add_passkey
-- A new key, unless its id is taken or there are too many.
insert into passkey (id, face, subject, public_key, sign_count, label, created_ms, used_ms)
select ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8
where (select count(*) from passkey where subject = ?3 and face = ?2) < ?9
on conflict (id) do nothing;

-- name: rename_passkey
-- Its owner calls it something else.
update passkey set label = ?2 where id = ?1;

-- name: passkey
-- A key by its credential id.
select id, face, subject, public_key, sign_count, label, created_ms, used_ms
from passkey where id = ?;

-- name: passkeys
-- All keys of somebody.
select id, face, subject, public_key, sign_count, label, created_ms, used_ms
from passkey where face = ? and subject = ? order by position;

-- name: use_passkey
-- It was used. The count grows with each use, or is always 0.
update passkey set sign_count = ?2, used_ms = ?3
where id = ?1 and (sign_count < ?2 or (sign_count = 0 and ?2 = 0));

-- name: remove_passkey
-- A key is forgotten.
delete from passkey where id = ?;

-- name: add_code
-- A code, in place of one of the same purpose.
insert or replace into code (purpose, hash, created_ms, expires_ms, tries_left)
values (?, ?, ?, ?, ?);

-- name: code
-- What a try is compared with.
select purpose, hash, created_ms, expires_ms, tries_left from code where purpose = ?;

-- name: code_by_hash
-- A link that is still valid.
select purpose, hash, created_ms, expires_ms, tries_left
from code where hash = ? and expires_ms > ? and tries_left > 0;

-- name: wrong_try
-- A wrong try costs one.
update code set tries_left = tries_left - 1 where purpose = ?;

-- name: delete_code
-- A code is used up.
delete from code where purpose = ?;

-- name: tally
-- Once more, within this second.
insert into tally (name, at_ms, amount) values (?, ?, 1)
on conflict (name, at_ms) do update set amount = amount + 1;

-- name: tallied
-- How often since an instant.
select coalesce(sum(amount), 0) from tally where name = ? and at_ms >= ?;

-- name: add_operator
-- A person at the desk, new or changed.
insert or replace into operator (id, name, role, created_ms, oidc_subject, disabled_ms)
values (?, ?, ?, ?, ?, ?);

-- name: operator
-- One of them.
select id, name, role, created_ms, oidc_subject, disabled_ms from operator where id = ?;

-- name: operators
-- All of them.
select id, name, role, created_ms, oidc_subject, disabled_ms
from operator order by created_ms, id;

-- name: add_deed
-- A change that waits.
insert into deed (id, session, name, card, form, created_ms, expires_ms)
values (?, ?, ?, ?, ?, ?, ?);

-- name: crowd_out_deeds
-- Only the newest of a session are kept.
delete from deed where session = ?1 and position not in (
    select position from deed where session = ?1 order by position desc limit ?2
);

-- name: deed
-- A change that still waits, for who asked.
select id, session, name, card, form, created_ms, expires_ms
from deed where id = ? and session = ? and expires_ms > ?;

-- name: take_deed
-- It waits no more; of two who take it, one gets the row.
delete from deed where id = ? and session = ? and expires_ms > ?
returning id, session, name, card, form, created_ms, expires_ms;

-- name: end_deeds
-- What a session asked for ends with it.
delete from deed where session = ?;

-- name: end_deeds_of
-- The same for all sessions of somebody.
delete from deed where session in (select id from session where subject = ?);

-- name: forget_sessions
-- Visits that are over, whatever happened in them.
delete from session where created_ms <= ?;

-- name: forget_codes
-- Codes that are over.
delete from code where expires_ms <= ?;

-- name: forget_deeds
-- Changes that nobody proved.
delete from deed where expires_ms <= ?;

-- name: forget_tallies
-- What was counted long ago.
delete from tally where at_ms < ?;
