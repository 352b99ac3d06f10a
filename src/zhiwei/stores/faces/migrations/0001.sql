-- Schema 1. Numbers are those of the enumerations in web/sign_in/model.py. Times are UTC ms.

-- Visits. The cookie's value is kept nowhere; `id` is its SHA-256.
create table session (
    id text primary key,
    face integer not null,
    subject text not null,
    cardholder text not null,
    role integer not null,
    proof integer not null,
    created_ms integer not null,
    seen_ms integer not null,
    csrf text not null
) strict, without rowid;
create index session_by_subject on session (subject);
create index session_by_age on session (created_ms);

-- Public keys of devices. `position` is the order in which they were added.
create table passkey (
    position integer primary key,
    id text not null unique,
    face integer not null,
    subject text not null,
    public_key blob not null,
    sign_count integer not null,
    label text not null,
    created_ms integer not null,
    used_ms integer not null
) strict;
create index passkey_by_subject on passkey (subject, face);

-- One-time codes and links that were given out, one for each purpose; digests only.
create table code (
    purpose text primary key,
    hash text not null,
    created_ms integer not null,
    expires_ms integer not null,
    tries_left integer not null
) strict, without rowid;
-- Finds links, which come without their purpose.
create index code_by_hash on code (hash);
create index code_by_end on code (expires_ms);

-- What is counted against abuse: how often in each second.
create table tally (
    name text not null,
    at_ms integer not null,
    amount integer not null,
    primary key (name, at_ms)
) strict, without rowid;
create index tally_by_age on tally (at_ms);

-- People at the issuer's desk.
create table operator (
    id text primary key,
    name text not null,
    role integer not null,
    created_ms integer not null,
    oidc_subject text not null,
    disabled_ms integer not null
) strict, without rowid;

-- Changes that wait for proof of who asked for them. `position` is their order.
create table deed (
    position integer primary key,
    id text not null unique,
    session text not null,
    name text not null,
    card text not null,
    form text not null,
    created_ms integer not null,
    expires_ms integer not null
) strict;
create index deed_by_session on deed (session);
create index deed_by_end on deed (expires_ms);
