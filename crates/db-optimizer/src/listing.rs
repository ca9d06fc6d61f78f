//! Lists that run newest first: their totals, and their pages by cursor and by number.

use std::fmt::Write as _;

use jebi_domain::{At, PageSize, Position, SellerId};

use crate::statement::Binds;

/// A table whose rows have `seller_id`, `created_at` and `id`, and the totals that are kept of it.
pub(crate) struct Listed {
    /// The table.
    pub(crate) rows: &'static str,
    /// Its folded totals, by grain and bucket.
    pub(crate) totals: &'static str,
    /// The differences that are not folded yet, by day.
    pub(crate) deltas: &'static str,
    /// The column of both that counts rows.
    pub(crate) count: &'static str,
    /// For each column that has such totals, ` AND column = ''`: it picks those of all its values.
    pub(crate) every_total: &'static str,
}

/// What a list shows, as pieces of SQL. Each shape of a filter gives a text of its own, so that each has
/// its own plan: `($2 IS NULL OR …)` in one text for all reads 52,635 buffers.
pub(crate) struct List {
    listed: &'static Listed,
    seller: String,
    /// ` AND status = $2 AND platform = $3`: right for rows, totals and deltas alike.
    kind: String,
    /// Picks the totals that count every row in the columns that no filter is for.
    every_total: String,
    /// The placeholder of the first instant that is shown.
    pub(crate) from: Option<String>,
    /// The placeholder of the first instant that is not shown any more.
    pub(crate) to: Option<String>,
}

impl List {
    pub(crate) fn new(listed: &'static Listed, seller: SellerId, binds: &mut Binds) -> Self {
        let every_total = listed.every_total.to_owned();
        let seller = binds.add(seller);
        Self { listed, seller, kind: String::new(), every_total, from: None, to: None }
    }

    /// Shows only the rows whose `column`, which the totals have as well, is the value of a placeholder.
    pub(crate) fn only(&mut self, column: &str, placeholder: &str) {
        let _ = write!(self.kind, " AND {column} = {placeholder}");
        self.every_total = self.every_total.replace(&format!(" AND {column} = ''"), "");
    }

    /// A common table expression `page`: the wanted rows, and at least one more where there is one.
    pub(crate) fn at(&self, at: At, size: PageSize, binds: &mut Binds) -> String {
        match at {
            At::After(position) => self.after(position, size, binds),
            At::Page(page) if page.skip() == 0 => self.first(size),
            At::Page(page) => self.skip(page.skip(), size, binds),
        }
    }

    /// Common table expressions that end with `total (n, is_exact)`: how many rows there are, the sum of
    /// folded totals and of differences not folded yet. Where a date cuts a day in two, that day's rows are
    /// counted by index, up to [`EDGE`]; of a busier day the part is taken that its share of the hours is.
    /// Materialized, so that a plan shows the cost of the total apart from the page's.
    pub(crate) fn total(&self) -> String {
        let (from, to) = (self.from.as_deref(), self.to.as_deref());
        let whole_days = match (from, to) {
            (Some(from), to) => self.whole_days(from, to),
            (None, Some(to)) => format!("{} - {}", self.count_all(), self.whole_days(to, None)),
            (None, None) => self.count_all(),
        };
        let (mut edges, mut n, mut is_exact) = (String::new(), whole_days, "true".to_owned());
        for (edge, sign, instant) in [("from_edge", '+', from), ("to_edge", '-', to)] {
            let Some(instant) = instant else { continue };
            let _ = write!(edges, "{edge} AS ({}), ", self.bounded_edge(instant));
            let _ = write!(n, " {sign} (SELECT n FROM {edge})");
            let _ = write!(is_exact, " AND (SELECT is_exact FROM {edge})");
        }
        format!("{edges}total AS MATERIALIZED (SELECT {n} AS n, {is_exact} AS is_exact)")
    }

    fn count_all(&self) -> String {
        let Self { seller, kind, every_total, .. } = self;
        let Listed { totals, deltas, count, .. } = self.listed;
        format!(
            "(SELECT coalesce(sum({count}), 0)::bigint FROM (
                  SELECT {count} FROM {totals}
                  WHERE seller_id = {seller} AND grain = 'all'{every_total}{kind}
                  UNION ALL
                  SELECT {count} FROM {deltas} WHERE seller_id = {seller}{kind}
              ) AS counted)"
        )
    }

    /// How many rows there are at `instant` and later, exactly.
    fn count_since(&self, instant: &str) -> String {
        format!(
            "{} + (SELECT count(*) FROM {})",
            self.whole_days(instant, None),
            self.edge(instant)
        )
    }

    /// How many rows the days have that begin at `from` or later, and before `to` where there is one: whole
    /// months, and the whole days of the months that are cut.
    fn whole_days(&self, from: &str, to: Option<&str>) -> String {
        let Self { seller, kind, every_total, .. } = self;
        let Listed { totals, deltas, count, .. } = self.listed;
        let rest_of_month = |day: &str, sign: char| {
            format!(
                "SELECT {sign}{count} FROM {totals}
                 WHERE seller_id = {seller} AND grain = 'day' AND bucket > {day}
                   AND bucket < (jebi_month({day}) + interval '1 month')::date{every_total}{kind}"
            )
        };
        let first = edge_day(from);
        let (mut months, mut days, mut rest) = Default::default();
        if let Some(last) = to.map(edge_day) {
            months = format!(" AND bucket <= jebi_month({last})");
            days = format!(" AND day <= {last}");
            rest = format!(" UNION ALL {}", rest_of_month(&last, '-'));
        }
        format!(
            "(SELECT coalesce(sum({count}), 0)::bigint FROM (
                  SELECT {count} FROM {totals}
                  WHERE seller_id = {seller} AND grain = 'month' AND bucket > jebi_month({first}){months}
                    {every_total}{kind}
                  UNION ALL {}{rest}
                  UNION ALL
                  SELECT {count} FROM {deltas}
                  WHERE seller_id = {seller} AND day > {first}{days}{kind}
              ) AS counted)",
            rest_of_month(&first, '+')
        )
    }

    /// The rows at `instant` and later on the day that it cuts in two; none where it cuts none.
    fn edge(&self, instant: &str) -> String {
        let Self { seller, kind, .. } = self;
        let (rows, day) = (self.listed.rows, edge_day(instant));
        format!(
            "{rows} WHERE seller_id = {seller}{kind} AND created_at >= {instant}
               AND created_at < jebi_day_start({day} + 1)"
        )
    }

    /// `(n, is_exact)`: how many rows [`List::edge`] has.
    fn bounded_edge(&self, instant: &str) -> String {
        let Self { seller, kind, every_total, .. } = self;
        let Listed { totals, deltas, count, .. } = self.listed;
        let (edge, day) = (self.edge(instant), edge_day(instant));
        let seconds =
            |from: &str| format!("extract(epoch FROM jebi_day_start({day} + 1) - {from})");
        let (rest, whole) = (seconds(instant), seconds(&format!("jebi_day_start({day})")));
        format!(
            "SELECT n <= {EDGE} AS is_exact, CASE WHEN n <= {EDGE} THEN n ELSE greatest(n, (
                 SELECT sum({count}) * {rest} / {whole} FROM (
                     SELECT {count} FROM {totals} WHERE seller_id = {seller} AND grain = 'day'
                       AND bucket = {day}{every_total}{kind}
                     UNION ALL
                     SELECT {count} FROM {deltas} WHERE seller_id = {seller} AND day = {day}{kind}
                 ) AS counted
             )::bigint) END AS n
             FROM (
                 SELECT count(*) AS n FROM (SELECT FROM {edge} LIMIT {EDGE} + 1) AS first
             ) AS counted"
        )
    }

    fn first(&self, size: PageSize) -> String {
        let before_to = match &self.to {
            Some(to) => format!(" AND created_at < {to}"),
            None => String::new(),
        };
        format!("page AS ({})", self.newest(&before_to, size))
    }

    /// The rows after `position`. A comparison of rows is one descent of the index; spelled out as
    /// `a < x OR (a = x AND b < y)` it reads as much as OFFSET.
    fn after(&self, position: Position, size: PageSize, binds: &mut Binds) -> String {
        let (created_at, id) = (binds.add(position.created_at), binds.add(position.id));
        let after = format!(" AND (created_at, id) < ({created_at}, {id})");
        format!("page AS ({})", self.newest(&after, size))
    }

    /// The rows after `skip` others. Totals by month, then by day, say on which day the first of them lies; rows of that
    /// day are skipped in the index alone, from the end that is nearer, and the page is read from there as by a cursor.
    fn skip(&self, skip: u64, size: PageSize, binds: &mut Binds) -> String {
        let Self { seller, kind, .. } = self;
        let rows = self.listed.rows;
        // The rows that are newer than the range are skipped as well.
        let newer = self.to.as_ref().map_or_else(|| "0".to_owned(), |to| self.count_since(to));
        let skip = binds.add(i64::try_from(skip).unwrap_or(i64::MAX));
        let month = self.bucket("month", "jebi_month(day)", |_| String::new(), "0");
        let within_month = |column: &str| {
            format!(
                " AND {column} >= (SELECT bucket FROM month)
                  AND {column} < ((SELECT bucket FROM month) + interval '1 month')::date"
            )
        };
        let day = self.bucket("day", "day", within_month, "(SELECT newer FROM month)");
        let end = |is_nearer: &str, order: &str, skipped: &str| {
            format!(
                "(SELECT created_at, id FROM {rows} WHERE seller_id = {seller}{kind}
                    AND created_at >= jebi_day_start((SELECT bucket FROM day))
                    AND created_at < jebi_day_start((SELECT bucket FROM day) + 1)
                    AND (SELECT {is_nearer} FROM day, wanted)
                  ORDER BY created_at {order}, id {order}
                  OFFSET (SELECT {skipped} FROM day, wanted) LIMIT 1)"
            )
        };
        let newest = end("first - newer < upto - first", "DESC", "first - newer");
        let oldest = end("first - newer >= upto - first", "ASC", "upto - first - 1");
        let from_start =
            " AND (created_at, id) <= ((SELECT created_at FROM start), (SELECT id FROM start))";
        let page = self.newest(from_start, size);
        format!(
            "wanted AS (SELECT {newer} + {skip} AS first), month AS ({month}), day AS ({day}),
             start AS ({newest} UNION ALL {oldest}), page AS ({page})"
        )
    }

    /// The bucket of a grain that holds the first wanted row; how many rows are in newer ones, and how many with its own.
    /// `newer` rows are newer than all buckets that are looked at: those `within` a condition on their column.
    fn bucket(
        &self,
        grain: &str,
        bucket_of_delta: &str,
        within: impl Fn(&str) -> String,
        newer: &str,
    ) -> String {
        let Self { seller, kind, every_total, .. } = self;
        let Listed { totals, deltas, count, .. } = self.listed;
        let (total_within, delta_within) = (within("bucket"), within(bucket_of_delta));
        format!(
            "SELECT max(bucket) FILTER (WHERE upto > first) AS bucket,
                 coalesce(max(upto) FILTER (WHERE upto <= first), {newer}) AS newer,
                 min(upto) FILTER (WHERE upto > first) AS upto
             FROM (
                 SELECT bucket, {newer} + sum({count}) OVER (ORDER BY bucket DESC) AS upto
                 FROM (
                     SELECT bucket, {count} FROM {totals}
                     WHERE seller_id = {seller} AND grain = '{grain}'{every_total}{kind}{total_within}
                     UNION ALL
                     SELECT {bucket_of_delta}, {count} FROM {deltas}
                     WHERE seller_id = {seller}{kind}{delta_within}
                 ) AS counted
             ) AS runs, wanted"
        )
    }

    fn newest(&self, within: &str, size: PageSize) -> String {
        let Self { seller, kind, from, .. } = self;
        let rows = self.listed.rows;
        let limit = limit(size);
        let from_on = match from {
            Some(from) => format!(" AND created_at >= {from}"),
            None => String::new(),
        };
        format!(
            "SELECT * FROM {rows} WHERE seller_id = {seller}{kind}{from_on}{within}
             ORDER BY created_at DESC, id DESC LIMIT {limit}"
        )
    }
}

/// Rows of a day that a date cuts in two are counted up to so many: some 20 pages of an index.
const EDGE: u16 = 1_500;

/// The day that `instant` cuts in two, or at midnight the day before, of which nothing is left.
fn edge_day(instant: &str) -> String {
    format!("jebi_day({instant} - interval '1 microsecond')")
}

/// One row more than the page shows. Written into the text, not bound: with an unknown limit the
/// planner assumes a tenth of the table and never settles on one plan. Sizes share four texts.
pub(crate) fn limit(size: PageSize) -> u16 {
    let wanted = size.items() + 1;
    [11, 21, 51, 101].into_iter().find(|limit| *limit >= wanted).unwrap_or(wanted)
}
