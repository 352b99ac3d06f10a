-- Every statement about keys and sign-ins. `-- name:` begins one; the comment says what it is for.

-- name: my_turn
-- Others that ask for the same number wait until this transaction has ended; what they read then, it wrote.
select pg_advisory_xact_lock($1::bigint);

-- name: add_key
-- A new key.
insert into api_key (id, created_ms, secret_hash, scope, subject, label, revoked_ms)
values ($1::text, $2::bigint, $3::text, $4::text, $5::text, $6::text, $7::bigint);

-- name: key
-- A key by its id.
select id, created_ms, secret_hash, scope, subject, label, revoked_ms
from api_key where id = $1::text;

-- name: keys
-- All of them.
select id, created_ms, secret_hash, scope, subject, label, revoked_ms
from api_key order by created_ms, id;

-- name: revoke_key
-- For good, and once.
update api_key set revoked_ms = $2::bigint where id = $1::text and revoked_ms = 0;

-- name: add_session
-- A new visit.
insert into face_session
    (id, face, subject, cardholder, role, proof, created_ms, seen_ms, csrf)
values ($1::text, $2::integer, $3::text, $4::text, $5::integer, $6::integer, $7::bigint, $8::bigint, $9::text);

-- name: session
-- A visit by the hash of its cookie.
select id, face, subject, cardholder, role, proof, created_ms, seen_ms, csrf
from face_session where id = $1::text;

-- name: touch_session
-- It was used; a late writer never makes it look older.
update face_session set seen_ms = $2::bigint where id = $1::text and seen_ms < $2::bigint;

-- name: end_session
-- One visit is over.
delete from face_session where id = $1::text;

-- name: end_sessions_of
-- All visits of somebody are over.
delete from face_session where subject = $1::text;

-- name: add_passkey
-- A new key, unless its id is taken or there are too many. In its owner's turn (`my_turn`).
insert into face_passkey (id, face, subject, public_key, sign_count, label, created_ms, used_ms)
select $1::text, $2::integer, $3::text, $4::bytea, $5::bigint, $6::text, $7::bigint, $8::bigint
where (
    select count(*) from face_passkey where subject = $3::text and face = $2::integer
) < $9::bigint
on conflict (id) do nothing;

-- name: rename_passkey
-- Its owner calls it something else.
update face_passkey set label = $2::text where id = $1::text;

-- name: passkey
-- A key by its credential id.
select id, face, subject, public_key, sign_count, label, created_ms, used_ms
from face_passkey where id = $1::text;

-- name: passkeys
-- All keys of somebody.
select id, face, subject, public_key, sign_count, label, created_ms, used_ms
from face_passkey where face = $1::integer and subject = $2::text order by position;

-- name: use_passkey
-- It was used. The count grows with each use, or is always 0.
update face_passkey set sign_count = $2::bigint, used_ms = $3::bigint
where id = $1::text
    and (sign_count < $2::bigint or (sign_count = 0 and $2::bigint = 0));

-- name: remove_passkey
-- A key is forgotten.
delete from face_passkey where id = $1::text;

-- name: add_code
-- A code, in place of one of the same purpose.
insert into face_code (purpose, hash, created_ms, expires_ms, tries_left)
values ($1::text, $2::text, $3::bigint, $4::bigint, $5::bigint)
on conflict (purpose) do update
set hash = excluded.hash, created_ms = excluded.created_ms, expires_ms = excluded.expires_ms,
    tries_left = excluded.tries_left;

-- name: code_to_try
-- What a try is compared with, locked: of two tries at once the second sees what the first did.
select purpose, hash, created_ms, expires_ms, tries_left
from face_code where purpose = $1::text for update;

-- name: code_by_hash
-- A link that is still valid.
select purpose, hash, created_ms, expires_ms, tries_left
from face_code where hash = $1::text and expires_ms > $2::bigint and tries_left > 0;

-- name: wrong_try
-- A wrong try costs one.
update face_code set tries_left = tries_left - 1 where purpose = $1::text;

-- name: delete_code
-- A code is used up.
delete from face_code where purpose = $1::text;

-- name: tally
-- Once more, within this second. In the turn of its name (`my_turn`).
insert into face_tally (name, at_ms, amount) values ($1::text, $2::bigint, 1)
on conflict (name, at_ms) do update set amount = face_tally.amount + 1;

-- name: tallied
-- How often since an instant.
select coalesce(sum(amount), 0)::bigint from face_tally
where name = $1::text and at_ms >= $2::bigint;

-- name: add_operator
-- A person at the desk, new or changed.
insert into face_operator (id, name, role, created_ms, oidc_subject, disabled_ms)
values ($1::text, $2::text, $3::integer, $4::bigint, $5::text, $6::bigint)
on conflict (id) do update
set name = excluded.name, role = excluded.role, created_ms = excluded.created_ms,
    oidc_subject = excluded.oidc_subject, disabled_ms = excluded.disabled_ms;

-- name: operator
-- One of them.
select id, name, role, created_ms, oidc_subject, disabled_ms
from face_operator where id = $1::text;

-- name: operators
-- All of them.
select id, name, role, created_ms, oidc_subject, disabled_ms
from face_operator order by created_ms, id;

-- name: add_deed
-- A change that waits. In its session's turn (`my_turn`).
insert into face_deed (id, session, name, card, form, created_ms, expires_ms)
values ($1::text, $2::text, $3::text, $4::text, $5::text, $6::bigint, $7::bigint);

-- name: crowd_out_deeds
-- Only the newest of a session are kept.
delete from face_deed where session = $1::text and position not in (
    select position from face_deed where session = $1::text order by position desc limit $2::bigint
);

-- name: deed
-- A change that still waits, for who asked.
select id, session, name, card, form, created_ms, expires_ms
from face_deed where id = $1::text and session = $2::text and expires_ms > $3::bigint;

-- name: take_deed
-- It waits no more; of two who take it, one gets the row.
delete from face_deed where id = $1::text and session = $2::text and expires_ms > $3::bigint
returning id, session, name, card, form, created_ms, expires_ms;

-- name: end_deeds
-- What a session asked for ends with it.
delete from face_deed where session = $1::text;

-- name: end_deeds_of
-- The same for all sessions of somebody.
delete from face_deed where session in (
    select id from face_session where subject = $1::text
);

-- name: forget_deeds
-- Changes that nobody proved.
delete from face_deed where expires_ms <= $1::bigint;

-- name: forget_sessions
-- Visits that are over, whatever happened in them.
delete from face_session where created_ms <= $1::bigint;

-- name: forget_codes
-- Codes that are over.
delete from face_code where expires_ms <= $1::bigint;

-- name: forget_tallies
-- What was counted long ago.
delete from face_tally where at_ms < $1::bigint;
