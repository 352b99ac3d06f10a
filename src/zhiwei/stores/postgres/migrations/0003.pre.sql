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
