-- The PostgreSQL peer's tables: the card's file with its settings and counters, what was decided, what is owed.

create table card (
    card_key bytea primary key,
    version bigint not null default 0,
    is_stopped boolean not null,
    has_chip boolean not null,
    regions text[] not null,
    countries text[],
    night_start smallint not null,
    night_end smallint not null,
    transaction_limit bigint not null,
    atm_day_limit bigint not null,
    day_limit bigint not null,
    month_limit bigint not null,
    day_count_limit int not null,
    large_spend_threshold bigint not null,
    closed_categories text[] not null,
    inquiry_alert boolean not null,
    change_alert boolean not null,
    day date not null default '2000-01-01',
    month date not null default '2000-01-01',
    atm_day_used bigint not null default 0,
    day_used bigint not null default 0,
    day_count int not null default 0,
    month_used bigint not null default 0
) with (fillfactor = 70);

create table decision (
    card_key bytea not null,
    version bigint not null,
    identity text not null,
    mti text not null,
    kind text not null,
    amount bigint not null,
    code text not null,
    counted boolean not null,
    decided_at timestamptz not null,
    primary key (card_key, version),
    unique (card_key, identity)
);

create table outbox (
    id bigint generated always as identity primary key,
    card_key bytea not null,
    version bigint not null,
    kind text not null
);
