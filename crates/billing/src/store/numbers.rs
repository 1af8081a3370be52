//! Numbers without gaps.

use kit::db::{Backend, Result, query};

use crate::invoice::Series;

/// Takes the next `count` numbers of a series and year.
///
/// The series' row stays locked until the transaction ends: others wait, and a rollback gives the
/// numbers back. So take them last, and only those that will be used.
pub(super) async fn take<B: Backend>(
    conn: &mut B::Connection,
    series: Series,
    year: i16,
    count: i64,
) -> Result<impl Iterator<Item = String> + use<B>> {
    let mut last = 0;
    if count > 0 {
        let row = query::<B>(
            "insert into number_series (series, year, last) values ($1, $2, $3)
             on conflict (series, year) do update set last = number_series.last + excluded.last
             returning last",
        )
        .bind(series.as_str().to_owned())
        .bind(i64::from(year))
        .bind(count)
        .fetch_one(conn)
        .await?;
        last = row.get("last")?;
    }
    Ok((last - count + 1..=last).map(move |place| series.number(year, place)))
}
