//! The format of `data/README.md`: one CSV row for each line of an invoice.

use std::io::{BufRead, Read as _};

use anyhow::bail;
use chrono::{DateTime, Datelike as _, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Europe::London;
use csv_core::ReadRecordResult;
use jebi_domain::{Currency, Money, Rounding, Text};

/// Prices are in pounds.
pub(super) const CURRENCY: Currency = Currency::Gbp;

const HEADER: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

/// A line of an invoice, read and checked.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) invoice: String,
    pub(super) sku: String,
    pub(super) description: Option<String>,
    pub(super) quantity: i32,
    pub(super) at: DateTime<Utc>,
    pub(super) price: Money,
    /// The price as it stands in the file, where it has digits beyond the penny.
    pub(super) rounded: Option<String>,
    pub(super) customer: Option<String>,
    pub(super) country: Option<String>,
}

/// A row that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(super) struct BrokenRow {
    pub(super) line: u64,
    pub(super) reason: String,
}

/// The longest line that is read.
const MAX_LINE: usize = 64 << 10;

/// The rows of a file, a line each: a quote that is not closed spoils its own row and no other.
pub(super) struct Rows {
    text: Box<dyn BufRead + Send>,
    parser: csv_core::Reader,
    line: Vec<u8>,
    number: u64,
    /// The fields of the last row, one behind the other, and where each ends.
    fields: Vec<u8>,
    ends: [usize; 16],
}

impl Rows {
    /// Reads the header; a file with another one is none of ours.
    pub(super) fn of(text: Box<dyn BufRead + Send>) -> anyhow::Result<Self> {
        let mut rows = Self {
            text,
            parser: csv_core::Reader::new(),
            line: vec![],
            number: 0,
            fields: vec![0; MAX_LINE],
            ends: [0; 16],
        };
        rows.read_line()?;
        let line = rows.line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&rows.line);
        if line != HEADER.join(",").as_bytes() {
            bail!("its first line is not {}", HEADER.join(","));
        }
        Ok(rows)
    }

    /// The next row, or why it is none. A file that cannot be read on ends the reading.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Result<Row, BrokenRow>>> {
        while self.read_line()? {
            if !self.line.is_empty() {
                let line = self.number;
                return Ok(Some(self.row().map_err(|reason| BrokenRow { line, reason })));
            }
        }
        Ok(None)
    }

    /// The line of the file that the last row was, from 1.
    pub(super) const fn line(&self) -> u64 {
        self.number
    }

    /// Reads a line without its end; `false` after the last.
    fn read_line(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        let most = MAX_LINE as u64 + 2;
        if self.text.by_ref().take(most).read_until(b'\n', &mut self.line)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.line.last() != Some(&b'\n') && self.line.len() > MAX_LINE {
            self.text.skip_until(b'\n')?;
        }
        while self.line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
            self.line.pop();
        }
        Ok(true)
    }

    fn row(&mut self) -> Result<Row, String> {
        if self.line.len() >= MAX_LINE {
            return Err(format!("is longer than {MAX_LINE} bytes"));
        }
        self.line.push(b'\n');
        self.parser.reset();
        let (result, _, _, columns) =
            self.parser.read_record(&self.line, &mut self.fields, &mut self.ends);
        match result {
            ReadRecordResult::Record if columns == HEADER.len() => {}
            ReadRecordResult::Record | ReadRecordResult::OutputEndsFull => {
                return Err(format!("does not have {} columns", HEADER.len()));
            }
            ReadRecordResult::InputEmpty | ReadRecordResult::OutputFull | ReadRecordResult::End => {
                return Err("has a quote that is not closed".to_owned());
            }
        }
        let from = |at: usize| at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let fields = std::array::from_fn(|at| &self.fields[from(at)..self.ends[at]]);
        read(fields)
    }
}

fn read(record: [&[u8]; HEADER.len()]) -> Result<Row, String> {
    let field = |at: usize| {
        let text =
            std::str::from_utf8(record[at]).map_err(|_| format!("{} is not UTF-8", HEADER[at]));
        text.map(str::trim)
    };
    let wrong = |at: usize, why: &dyn std::fmt::Display| format!("{} {why}", HEADER[at]);
    let optional = |at: usize| -> Result<Option<String>, String> {
        match field(at)? {
            "" => Ok(None),
            text => {
                Text::<200>::new(text).map(|t| Some(t.into_string())).map_err(|e| wrong(at, &e))
            }
        }
    };
    let code = |at: usize| -> Result<String, String> {
        let text = Text::<64>::new(field(at)?).map_err(|error| wrong(at, &error))?;
        Ok(text.into_string())
    };

    let quantity: i32 = field(3)?.parse().map_err(|_| wrong(3, &"is not a whole number"))?;
    if quantity == 0 || quantity.unsigned_abs() > jebi_domain::Quantity::MAX {
        return Err(wrong(3, &"must be between -1000000 and 1000000, and not 0"));
    }
    let local = NaiveDateTime::parse_from_str(field(4)?, "%Y-%m-%d %H:%M:%S")
        .map_err(|_| wrong(4, &"is not a time like 2010-12-01 08:26:00"))?;
    if !(1..=9999).contains(&local.year()) {
        return Err(wrong(4, &"is not in the years 1 to 9999"));
    }
    // Of the hour that comes twice in October, the first.
    let at = London.from_local_datetime(&local).earliest();
    let at = at.ok_or_else(|| wrong(4, &"does not exist in London's time"))?;
    let (price, rounding) =
        Money::parse_decimal(field(5)?, CURRENCY).map_err(|error| wrong(5, &error))?;
    price.times(i64::from(quantity)).map_err(|error| wrong(5, &error))?;
    Ok(Row {
        invoice: code(0)?,
        sku: code(1)?,
        description: optional(2)?,
        quantity,
        at: at.with_timezone(&Utc),
        price,
        rounded: (rounding == Rounding::Rounded)
            .then(|| field(5).map(str::to_owned))
            .transpose()?,
        customer: optional(6)?.map(|id| id.strip_suffix(".0").map(str::to_owned).unwrap_or(id)),
        country: optional(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Result<Row, BrokenRow>> {
        let mut rows =
            Rows::of(Box::new(std::io::Cursor::new(text.to_owned().into_bytes()))).unwrap();
        std::iter::from_fn(|| rows.next().unwrap()).collect()
    }

    fn row(line: &str) -> Result<Row, String> {
        let text = format!("{}\n{line}\n", HEADER.join(","));
        rows(&text).remove(0).map_err(|broken| broken.to_string())
    }

    #[test]
    fn a_row_is_read_in_londons_time() {
        let winter =
            row("536365,85123A, LANTERN ,6,2010-12-01 08:26:00,2.55,17850.0,EIRE").unwrap();
        assert_eq!(winter.at.to_rfc3339(), "2010-12-01T08:26:00+00:00");
        assert_eq!(winter.customer.as_deref(), Some("17850"));
        assert_eq!(winter.description.as_deref(), Some("LANTERN"));
        assert_eq!(winter.price.amount(), 255);
        let summer = row("536365,85123A,,6,2011-07-01 08:26:00,0.001,,EIRE").unwrap();
        assert_eq!(summer.at.to_rfc3339(), "2011-07-01T07:26:00+00:00");
        assert_eq!(summer.rounded.as_deref(), Some("0.001"));
        assert_eq!((summer.customer, summer.description), (None, None));
    }

    #[test]
    fn a_broken_row_is_told_by_line_and_reason() {
        let broken = [
            ("1,A,x,6,2010-12-01 08:26:00,2.55", "line 2: does not have 8 columns"),
            ("1,A,x,six,2010-12-01 08:26:00,2.55,,", "line 2: Quantity is not a whole number"),
            (
                "1,A,x,0,2010-12-01 08:26:00,2.55,,",
                "line 2: Quantity must be between -1000000 and 1000000, and not 0",
            ),
            (
                "1,A,x,6,01/12/2010,2.55,,",
                "line 2: InvoiceDate is not a time like 2010-12-01 08:26:00",
            ),
            (
                "1,A,x,6,2011-03-27 01:30:00,2.55,,",
                "line 2: InvoiceDate does not exist in London's time",
            ),
            ("1,A,x,6,2010-12-01 08:26:00,2.5e3,,", "line 2: UnitPrice is not a decimal number"),
            (",A,x,6,2010-12-01 08:26:00,2.55,,", "line 2: InvoiceNo must not be empty"),
            (
                "1,A,a\0b,6,2010-12-01 08:26:00,2.55,,",
                "line 2: Description must not contain control characters",
            ),
            ("1,A,\"x,6,2010-12-01 08:26:00,2.55,,", "line 2: has a quote that is not closed"),
            (
                "1,A,x,6,-4800-01-01 00:00:00,2.55,,",
                "line 2: InvoiceDate is not in the years 1 to 9999",
            ),
            ("1,A,x,6,2010-12-01 08:26:00,2.55,,,", "line 2: does not have 8 columns"),
        ];
        for (line, expected) in broken {
            assert_eq!(row(line).unwrap_err(), expected);
        }
    }

    #[test]
    fn another_file_is_refused() {
        for text in ["", "a,b,c\n1,2,3\n", "{\"json\":true}"] {
            assert!(Rows::of(Box::new(std::io::Cursor::new(text.as_bytes().to_vec()))).is_err());
        }
    }
}
