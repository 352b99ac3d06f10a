-- The peer inside the database: one call decides, counts and keeps, on the tables of postgres.sql.
--
-- The questions and their order are those of postgres_rules.py; the first finding is the answer, and no further
-- rule is asked (in this peer's favour: the others find everything that speaks against a payment).

create function decide(
    asked_key bytea,
    asked_identity text,
    asked_original text,
    asked_mti text,
    asked_processing text,
    asked_amount bigint,
    asked_mcc text,
    asked_country text,
    asked_region text,
    asked_entry text,
    stripe_threshold bigint
) returns text language plpgsql as $$
declare
    file card%rowtype;
    earlier decision%rowtype;
    at_instant timestamptz := clock_timestamp();
    here timestamp := at_instant at time zone 'Asia/Shanghai';
    today date := here::date;
    this_month date := date_trunc('month', here)::date;
    hour int := extract(hour from here);
    is_purchase boolean := left(asked_processing, 2) in ('00', '03');
    is_in_person boolean := left(asked_entry, 2) in ('05', '07', '02');
    is_at_atm boolean := asked_mcc = '6011';
    verdict text := '00';
    owed text;
begin
    select * into file from card where card_key = asked_key for update;
    if not found then
        return '14';
    end if;
    select * into earlier from decision where card_key = asked_key and identity = asked_identity;
    if found then
        return case when earlier.amount = asked_amount then earlier.code else '94' end;
    end if;
    if file.day <> today then
        file.day := today;
        file.atm_day_used := 0;
        file.day_used := 0;
        file.day_count := 0;
    end if;
    if file.month <> this_month then
        file.month := this_month;
        file.month_used := 0;
    end if;
    if asked_mti like '_4__' then
        owed := 'reversed';
        select * into earlier from decision where card_key = asked_key and identity = asked_original;
        if found and earlier.counted and (earlier.decided_at at time zone 'Asia/Shanghai')::date = today then
            file.day_used := file.day_used - earlier.amount;
            file.month_used := file.month_used - earlier.amount;
            file.day_count := file.day_count - 1;
            if left(earlier.kind, 2) in ('01', '46') then
                file.atm_day_used := file.atm_day_used - earlier.amount;
            end if;
        end if;
    elsif left(asked_processing, 2) = '31' then
        owed := case when file.inquiry_alert then 'balance_inquiry' end;
    else
        verdict := case
            when file.is_stopped then '62'
            when asked_entry = '021' and file.has_chip then '45'
            when is_in_person and asked_country = '156'
                and file.regions <> '{}' and asked_region <> all (file.regions) then '62'
            when is_in_person and asked_country <> '156' and file.countries is not null
                and case asked_country when '344' then 'HKG' when '446' then 'MAC' else '' end
                    <> all (file.countries) then '62'
            when is_in_person and file.night_start <> file.night_end
                and case when file.night_start <= file.night_end
                         then hour >= file.night_start and hour < file.night_end
                         else hour >= file.night_start or hour < file.night_end end then '62'
            when asked_mcc = any (file.closed_categories) then '57'
            when asked_amount > file.transaction_limit then '61'
            when is_at_atm and file.atm_day_used + asked_amount > file.atm_day_limit then '61'
            when file.day_used + asked_amount > file.day_limit
                or file.month_used + asked_amount > file.month_limit then '61'
            when file.day_count + 1 > file.day_count_limit then '65'
            when is_purchase and file.large_spend_threshold > 0
                and asked_amount > file.large_spend_threshold then '01'
            when is_purchase and asked_entry = '021' and asked_amount > stripe_threshold then '01'
            else '00'
        end;
        if verdict = '00' then
            file.day_used := file.day_used + asked_amount;
            file.month_used := file.month_used + asked_amount;
            file.day_count := file.day_count + 1;
            if is_at_atm then
                file.atm_day_used := file.atm_day_used + asked_amount;
            end if;
            owed := case when file.change_alert then 'balance_change' end;
        else
            owed := case when verdict = '01' then 'challenge' else 'declined' end;
        end if;
    end if;
    update card
       set version = file.version + 1, day = file.day, month = file.month, atm_day_used = file.atm_day_used,
           day_used = file.day_used, day_count = file.day_count, month_used = file.month_used
     where card_key = asked_key;
    insert into decision values (
        asked_key, file.version + 1, asked_identity, asked_mti, asked_processing, asked_amount, verdict,
        verdict = '00', at_instant
    );
    if owed is not null then
        insert into outbox (card_key, version, kind) values (asked_key, file.version + 1, owed);
    end if;
    return verdict;
end
$$;
