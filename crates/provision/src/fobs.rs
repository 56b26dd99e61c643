//! A delivery of hardware tokens, as a CSV file (RFC 4180) with a first line of column names.
//!
//! It holds the secrets of the tokens: a fault names line and column and never what stands there, and what is copied
//! from the file is wiped.

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt, str};

use countersign_crypto::{HmacAlgorithm, SecretBytes};
use countersign_domain::{
    CredentialId, CredentialIdError, Date, DateError, Manufacturer, TimeZone, Timestamp, TokenKind,
    otp::{OtpParams, TokenSeed},
};
use csv_core::{ReadRecordResult, Reader};
use data_encoding::HEXLOWER_PERMISSIVE;
use thiserror::Error;
use zeroize::Zeroizing;

/// Longest file, in bytes: about 20,000 tokens.
pub const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Longest line, in bytes without quotes: five times the longest that can be right.
const MAX_LINE_BYTES: usize = 1_024;
/// The columns, in this order: the first line of the file.
const COLUMNS: [&str; 6] = ["serial", "secret", "algorithm", "digits", "period", "last_day"];

/// A hardware token of a delivery.
#[derive(Clone)]
pub struct NewFob {
    /// Its serial number.
    pub credential: CredentialId,
    /// How its codes are made.
    pub params: OtpParams,
    /// Its seed, as the maker delivered it.
    pub seed: TokenSeed,
    /// Until when the maker lets it be used: midnight UTC after its last day.
    pub ends: Timestamp,
}

/// What is wrong with a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// Longer than [`MAX_BYTES`].
    #[error("the file is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// It is not UTF-8.
    #[error("the file is not text")]
    NotText,
    /// The first line is not that of the columns.
    #[error("the first line must be {}", COLUMNS.join(","))]
    Head,
    /// There is no line after the first.
    #[error("the file lists no hardware token")]
    Empty,
    /// A line is longer than 1 KiB, such as by a quote that is never closed.
    #[error("the line is longer than {MAX_LINE_BYTES} bytes")]
    LongLine,
    /// More values than columns, or fewer.
    #[error("six values are needed")]
    Values,
    /// The serial number can't be read.
    #[error("{0}")]
    Serial(#[source] CredentialIdError),
    /// The serial number is one of an app.
    #[error("this is the ID of an app, not of a hardware token")]
    NotHardware,
    /// The algorithm is none of the three.
    #[error("sha1, sha256 or sha512")]
    Algorithm,
    /// The secret is not written in hexadecimal digits.
    #[error("hexadecimal digits")]
    Secret,
    /// The secret is too short, or too long.
    #[error("at least 128 bits are needed (RFC 4226, 4)")]
    SecretLength,
    /// Digits or period are no numbers.
    #[error("digits and period are numbers")]
    Numbers,
    /// Digits or period are out of range.
    #[error("6 to 8 digits and a period of at most 120 seconds")]
    Range,
    /// The last day is none.
    #[error("{0}")]
    LastDay(#[source] DateError),
    /// A serial number stands in the file twice.
    #[error("this serial number stands in the file twice")]
    Twice,
}

/// Why a delivery is not taken, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FobsError {
    /// The line, from 1; none where it is the file as a whole.
    pub line: Option<u64>,
    /// The column, where it is one.
    pub column: Option<&'static str>,
    /// What is wrong.
    pub fault: Fault,
}

impl fmt::Display for FobsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(column) = self.column {
            write!(f, "{column}: ")?;
        }
        write!(f, "{}", self.fault)
    }
}

impl std::error::Error for FobsError {}

impl From<Fault> for FobsError {
    fn from(fault: Fault) -> Self {
        Self { line: None, column: None, fault }
    }
}

/// Reads a delivery: all of it, or what is wrong with its first bad line. Serial numbers without letters are of `maker`.
/// Empty lines count and are passed over; spaces around a value are none of it.
///
/// # Errors
///
/// See [`Fault`].
pub fn read(file: &[u8], maker: Option<Manufacturer>) -> Result<Vec<NewFob>, FobsError> {
    if file.len() > MAX_BYTES {
        return Err(Fault::TooLong.into());
    }
    let mut records = Records::of(str::from_utf8(file).map_err(|_| Fault::NotText)?);
    match records.next_record()? {
        Some(Record { line: 1, values }) if values == COLUMNS => {}
        _ => return Err(Fault::Head.into()),
    }
    let (mut fobs, mut serials) = (Vec::new(), BTreeSet::new());
    while let Some(Record { line, values }) = records.next_record()? {
        let at = |(column, fault)| FobsError { line: Some(line), column, fault };
        let fob = fob(&values, maker).map_err(at)?;
        if !serials.insert(fob.credential.as_str().to_owned()) {
            return Err(at((None, Fault::Twice)));
        }
        fobs.push(fob);
    }
    if fobs.is_empty() { Err(Fault::Empty.into()) } else { Ok(fobs) }
}

fn fob(
    values: &[&str],
    maker: Option<Manufacturer>,
) -> Result<NewFob, (Option<&'static str>, Fault)> {
    let &[serial, secret, algorithm, digits, period, last_day] = values else {
        return Err((None, Fault::Values));
    };
    let serial_fault = |fault| (Some("serial"), fault);
    let credential =
        CredentialId::parse(serial, maker).map_err(|error| serial_fault(Fault::Serial(error)))?;
    if credential.kind() != TokenKind::OtpHard {
        return Err(serial_fault(Fault::NotHardware));
    }
    let algorithm = match algorithm.to_ascii_lowercase().replace('-', "").as_str() {
        "sha1" => HmacAlgorithm::Sha1,
        "sha256" => HmacAlgorithm::Sha256,
        "sha512" => HmacAlgorithm::Sha512,
        _ => return Err((Some("algorithm"), Fault::Algorithm)),
    };
    let secret_fault = |fault| (Some("secret"), fault);
    let seed = HEXLOWER_PERMISSIVE.decode(secret.as_bytes());
    let seed = SecretBytes::new(seed.map_err(|_| secret_fault(Fault::Secret))?);
    let seed = TokenSeed::new(seed).map_err(|_| secret_fault(Fault::SecretLength))?;
    let (Ok(digits), Ok(period)) = (digits.parse(), period.parse()) else {
        return Err((None, Fault::Numbers));
    };
    let params = OtpParams::new(algorithm, digits, period).map_err(|_| (None, Fault::Range))?;
    let last_day: Date =
        last_day.parse().map_err(|error| (Some("last_day"), Fault::LastDay(error)))?;
    Ok(NewFob { credential, params, seed, ends: last_day.end(&TimeZone::UTC) })
}

/// The records of a CSV file, one after the other in a buffer that is wiped.
///
/// By `csv-core` and not `csv`, whose buffers can't be wiped: both are of one author and split alike.
struct Records<'a> {
    reader: Reader,
    rest: &'a [u8],
    /// Line of `rest`, from 1.
    line: u64,
    buffer: Zeroizing<[u8; MAX_LINE_BYTES]>,
    /// One more than there are columns, so that a seventh value is seen.
    ends: [usize; COLUMNS.len() + 1],
}

struct Record<'a> {
    line: u64,
    values: Vec<&'a str>,
}

impl<'a> Records<'a> {
    fn of(text: &'a str) -> Self {
        let buffer = Zeroizing::new([0; MAX_LINE_BYTES]);
        let ends = [0; COLUMNS.len() + 1];
        Self { reader: Reader::new(), rest: text.as_bytes(), line: 1, buffer, ends }
    }

    /// The next record that is not blank; none at the end.
    fn next_record(&mut self) -> Result<Option<Record<'_>>, FobsError> {
        let (line, values) = loop {
            // The reader passes over empty lines by itself, and does not say how many there were.
            let blank = self.rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.skip(blank);
            let line = self.line;
            let Some(values) = self.split()? else { return Ok(None) };
            let first = self.ends.first().and_then(|end| self.buffer.get(..*end));
            if values > 1 || first.is_some_and(|first| !first.trim_ascii().is_empty()) {
                break (line, values);
            }
        };
        let mut begin = 0;
        let values = self.ends.iter().take(values).map(|end| {
            let value = self.buffer.get(begin..*end).and_then(|value| str::from_utf8(value).ok());
            begin = *end;
            value.map(str::trim).ok_or(Fault::NotText)
        });
        Ok(Some(Record { line, values: values.collect::<Result<_, _>>()? }))
    }

    /// Splits one record into the buffer: how many values it has; none at the end.
    fn split(&mut self) -> Result<Option<usize>, FobsError> {
        let line = self.line;
        let fault = |fault| FobsError { line: Some(line), column: None, fault };
        let (mut bytes, mut values) = (0, 0);
        loop {
            let (buffer, ends) = (self.buffer.get_mut(bytes..), self.ends.get_mut(values..));
            let (Some(buffer), Some(ends)) = (buffer, ends) else { return Ok(None) };
            let (result, read, written, ended) = self.reader.read_record(self.rest, buffer, ends);
            self.skip(read);
            bytes += written;
            values += ended;
            match result {
                // Asked again with nothing left, it ends the last record.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => return Err(fault(Fault::LongLine)),
                ReadRecordResult::OutputEndsFull => return Err(fault(Fault::Values)),
                ReadRecordResult::Record => return Ok(Some(values)),
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, &[]));
        let lines = passed.split(|byte| *byte == b'\n').skip(1).count();
        self.line = self.line.saturating_add(u64::try_from(lines).unwrap_or(u64::MAX));
        self.rest = rest;
    }
}
