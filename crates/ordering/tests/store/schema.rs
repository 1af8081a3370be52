//! The schema: the same on both databases, and opening a database again changes nothing.

use crate::fixture::{Fixture, on_both_databases};

on_both_databases! {
    opening_again_changes_nothing,
}

async fn opening_again_changes_nothing(fixture: Fixture) {
    fixture.customer().await;
    let draft = fixture.draft().await;
    let before = fixture.schema().await;
    let again = fixture.another().await;
    assert_eq!(fixture.schema().await, before);
    assert_eq!(again.order(draft.number).await.unwrap(), Some(draft));
}

#[tokio::test]
async fn both_databases_have_the_same_logical_schema() {
    let sqlite = Fixture::sqlite().await.schema().await;
    let postgres = Fixture::postgres().await.schema().await;
    assert!(sqlite.iter().any(|line| line.starts_with("column orders.number bigint")));
    assert!(sqlite.iter().any(|line| line.starts_with("index orders orders_unstamped")));
    assert_eq!(sqlite, postgres);
}

impl Fixture {
    /// The logical schema, one line for each column, key and index.
    async fn schema(&self) -> Vec<String> {
        let queries = if self.is_postgres() { POSTGRES } else { SQLITE };
        let mut outsider = self.outsider().await;
        let mut lines = Vec::new();
        for query in queries {
            lines.extend(outsider.texts(query).await);
        }
        lines.sort();
        lines
    }
}

/// Columns, primary keys, foreign keys, indexes.
const SQLITE: [&str; 4] = [
    "select 'column ' || t.name || '.' || c.name || ' ' \
       || replace(lower(c.type), 'integer', 'bigint') || iif(c.\"notnull\", ' not null', '') \
     from sqlite_schema t join pragma_table_info(t.name) c \
     where t.type = 'table' and t.name not like 'sqlite_%' and t.name <> '_sqlx_migrations'",
    "select 'primary key ' || t.name || ' ' || group_concat(c.name order by c.pk) \
     from sqlite_schema t join pragma_table_info(t.name) c \
     where t.type = 'table' and c.pk > 0 and t.name <> '_sqlx_migrations' group by t.name",
    "select 'foreign key ' || t.name || '.' || k.\"from\" || ' ' || k.\"table\" || '.' || k.\"to\" \
     from sqlite_schema t join pragma_foreign_key_list(t.name) k where t.type = 'table'",
    "select 'index ' || t.name || ' ' || i.name || iif(i.\"unique\", ' unique ', ' ') \
       || (select group_concat(c.name order by c.seqno) from pragma_index_info(i.name) c) \
       || iif(i.partial, ' partial', '') \
     from sqlite_schema t join pragma_index_list(t.name) i \
     where t.type = 'table' and i.origin = 'c'",
];

/// The same in the words of PostgreSQL.
const POSTGRES: [&str; 4] = [
    "select 'column ' || table_name || '.' || column_name || ' ' || data_type \
       || case is_nullable when 'NO' then ' not null' else '' end \
     from information_schema.columns \
     where table_schema = 'public' and table_name <> '_sqlx_migrations'",
    "select 'primary key ' || i.indrelid::regclass || ' ' || string_agg(a.attname, ',' order by k.place) \
     from pg_index i cross join unnest(i.indkey) with ordinality k(attnum, place) \
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
       join pg_class t on t.oid = i.indrelid and t.relnamespace = 'public'::regnamespace \
     where i.indisprimary and t.relname <> '_sqlx_migrations' group by i.indrelid",
    "select 'foreign key ' || c.conrelid::regclass || '.' || a.attname || ' ' \
       || c.confrelid::regclass || '.' || b.attname \
     from pg_constraint c \
       join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] \
       join pg_attribute b on b.attrelid = c.confrelid and b.attnum = c.confkey[1] \
     where c.contype = 'f'",
    "select 'index ' || i.indrelid::regclass || ' ' || i.indexrelid::regclass \
       || case when i.indisunique then ' unique ' else ' ' end \
       || string_agg(a.attname, ',' order by k.place) \
       || case when i.indpred is null then '' else ' partial' end \
     from pg_index i cross join unnest(i.indkey) with ordinality k(attnum, place) \
       join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum \
       join pg_class t on t.oid = i.indrelid and t.relnamespace = 'public'::regnamespace \
     where not i.indisprimary \
     group by i.indrelid, i.indexrelid, i.indisunique, i.indpred is null",
];
