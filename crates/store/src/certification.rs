//! Audit and certification reports, who has acknowledged them, and notices of non-compliance.

use countersign_domain::{
    NoticeId, PersonId, PracticeId, ReportId, Timestamp,
    certification::{BuildId, NoticeScope, ReportFacts, ReportFormat, Version},
};

use crate::{
    Error, Tx,
    columns::{Blob, Int, Opt, Text, columns, select},
    statements::{Sql, locking, sql, statements},
    value::{Columns, Declared, Row},
};

/// A report without its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Our identifier.
    pub id: ReportId,
    /// What it says of itself.
    pub facts: ReportFacts,
    /// What its document is.
    pub format: ReportFormat,
    /// SHA-256 of the document.
    pub sha256: [u8; 32],
    /// When the operator entered it.
    pub entered: Timestamp,
    /// Who did.
    pub entered_by: String,
    /// The builds that it covers.
    pub builds: Vec<BuildId>,
}

/// A notice that builds no longer meet the requirements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoncomplianceNotice {
    /// Our identifier.
    pub id: NoticeId,
    /// Who has given notice.
    pub source: String,
    /// What is wrong.
    pub reason: String,
    /// All builds up to and including this version are concerned.
    pub through: Version,
    /// When the operator entered it.
    pub entered: Timestamp,
    /// Who did.
    pub entered_by: String,
    /// When it ended: a newer build that a release manifest lists ran, or the operator recorded the word that the
    /// program is compliant again; none before.
    pub ended: Option<Timestamp>,
}

impl NoncomplianceNotice {
    /// How far it reaches.
    pub const fn scope(&self) -> NoticeScope {
        NoticeScope { through: self.through, open: self.ended.is_none() }
    }
}

fn parsed<T: std::str::FromStr>(text: &str, column: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::corrupt(column))
}

fn time(row: &Row, index: usize, column: &'static str) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_micros(row.int(index, column)?))
}

fn report(row: &Row) -> Result<Report, Error> {
    Ok(Report {
        id: row.get_id(REPORT_ROW.id, ReportId::from_slice)?,
        facts: ReportFacts {
            name: row.string(REPORT_ROW.name)?,
            kind: row.parsed(REPORT_ROW.kind)?,
            auditor: row.string(REPORT_ROW.auditor)?,
            issued: row.parsed(REPORT_ROW.issued)?,
            expires: row.parsed(REPORT_ROW.expires)?,
        },
        format: ReportFormat::from_media_type(row.get(REPORT_ROW.media_type)?)
            .ok_or_else(|| row.corrupt(REPORT_ROW.media_type))?,
        sha256: row
            .get(REPORT_ROW.sha256)?
            .try_into()
            .map_err(|_| row.corrupt(REPORT_ROW.sha256))?,
        entered: row.time(REPORT_ROW.entered)?,
        entered_by: row.string(REPORT_ROW.entered_by)?,
        builds: Vec::new(),
    })
}

fn notice(row: &Row) -> Result<NoncomplianceNotice, Error> {
    Ok(NoncomplianceNotice {
        id: row.get_id(NOTICE_ROW.id, NoticeId::from_slice)?,
        source: row.string(NOTICE_ROW.source)?,
        reason: row.string(NOTICE_ROW.reason)?,
        through: row.parsed(NOTICE_ROW.through)?,
        entered: row.time(NOTICE_ROW.entered)?,
        entered_by: row.string(NOTICE_ROW.entered_by)?,
        ended: row.opt_time(NOTICE_ROW.ended)?,
    })
}

columns! {
    /// What is read of a report but its document.
    REPORT_ROW: ReportColumns from "certification_report" by id {
        id: Blob,
        name: Text,
        kind: Text,
        auditor: Text,
        issued: Text,
        expires: Text,
        media_type: Text,
        sha256: Blob,
        entered: Int,
        entered_by: Text,
    }
}

columns! {
    /// What is read of a notice of non-compliance.
    NOTICE_ROW: NoticeColumns from "noncompliance_notice" by id {
        id: Blob,
        source: Text,
        reason: Text,
        through: Text,
        entered: Int,
        entered_by: Text,
        ended: Opt<Int>,
    }
}

statements! {
    CREATE_REPORT = sql!(
        "INSERT INTO certification_report (id, name, kind, auditor, issued, expires, media_type, "
        "document, sha256, entered, entered_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) "
        "ON CONFLICT (name) DO NOTHING"
    );
    COVER_BUILD = sql!(
        "INSERT INTO certified_build (report, build) VALUES ($1, $2) ON CONFLICT (report, build) DO NOTHING"
    );
    REPORTS = select!(ReportColumns, "ORDER BY issued DESC, entered DESC");
    BUILDS = sql!("SELECT report, build FROM certified_build ORDER BY build");
    REPORT_OF = sql!(
        "SELECT r.id, r.name, r.kind, r.auditor, r.issued, r.expires, r.media_type, r.sha256, r.entered, "
        "r.entered_by FROM certification_report r JOIN certified_build b ON b.report = r.id "
        "WHERE b.build = $1 AND (r.name = $2 OR $2 = '') ORDER BY r.issued DESC, r.entered DESC LIMIT 1"
    )
    .reading(ReportColumns::DECLARED);
    REPORT_DOCUMENT = sql!(
        "SELECT id, name, kind, auditor, issued, expires, media_type, sha256, entered, entered_by, document "
        "FROM certification_report WHERE id = $1"
    )
    .reading(ReportColumns::DECLARED);
    ACKNOWLEDGE_REPORT = sql!(
        "INSERT INTO report_acknowledgment (practice, report, build, person, acknowledged) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (practice, report, build) DO NOTHING"
    );
    REPORT_ACKNOWLEDGED = sql!(
        "SELECT person, acknowledged FROM report_acknowledgment WHERE practice = $1 AND report = $2 AND build = $3"
    );
    REVIEW_REPORT = sql!(
        "INSERT INTO report_review (person, report, reviewed) VALUES ($1, $2, $3) ON CONFLICT (person, report) DO NOTHING"
    );
    REPORT_REVIEWED = sql!("SELECT reviewed FROM report_review WHERE person = $1 AND report = $2");
    LOCK_INSTANCE = locking!("SELECT id FROM instance WHERE id = 1");
    CREATE_NONCOMPLIANCE = sql!(
        "INSERT INTO noncompliance_notice (id, source, reason, through, entered, entered_by, ended) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)"
    );
    STOP_SIGNING = sql!("UPDATE token SET sign_until = NULL WHERE sign_until IS NOT NULL");
    NONCOMPLIANCE = select!(NoticeColumns, "ORDER BY entered DESC, id DESC");
    NOTICE_SCOPES = sql!("SELECT through, ended FROM noncompliance_notice");
    OPEN_NONCOMPLIANCE = select!(NoticeColumns, locking "WHERE ended IS NULL ORDER BY entered");
    END_NONCOMPLIANCE = sql!("UPDATE noncompliance_notice SET ended = $2, ended_by = $3 WHERE id = $1 AND ended IS NULL");
    OWNERS_OF_ACTIVATED = sql!(
        "SELECT DISTINCT prescriber FROM token WHERE prescriber IS NOT NULL AND activated IS NOT NULL "
        "ORDER BY prescriber"
    );
    SHARED = Sql::pair(
        "SELECT id FROM instance WHERE id = 1",
        "SELECT id FROM instance WHERE id = 1 FOR SHARE",
    );
}

impl Tx<'_> {
    /// Enters a report with its document. `false` where its name is known already; nothing is changed then.
    pub fn create_report(&mut self, it: &Report, document: &[u8]) -> Result<bool, Error> {
        let facts = &it.facts;
        let made = self.run(
            CREATE_REPORT,
            &[
                it.id.as_bytes().into(),
                facts.name.as_str().into(),
                facts.kind.code().into(),
                facts.auditor.as_str().into(),
                facts.issued.to_string().as_str().into(),
                facts.expires.to_string().as_str().into(),
                it.format.media_type().into(),
                document.into(),
                it.sha256.as_slice().into(),
                it.entered.micros().into(),
                it.entered_by.as_str().into(),
            ],
        )?;
        if made == 0 {
            return Ok(false);
        }
        it.builds.iter().try_for_each(|build| self.cover_build(it.id, build))?;
        Ok(true)
    }

    /// Notes that a report covers one more build.
    pub fn cover_build(&mut self, report: ReportId, build: &BuildId) -> Result<(), Error> {
        self.run(COVER_BUILD, &[report.as_bytes().into(), build.as_str().into()]).map(drop)
    }

    /// All reports, the newest first.
    pub fn reports(&mut self) -> Result<Vec<Report>, Error> {
        let mut found =
            self.rows(REPORTS, &[])?.iter().map(report).collect::<Result<Vec<_>, _>>()?;
        for row in &self.rows(BUILDS, &[])? {
            let of = row.id(0, "certified_build.report", ReportId::from_slice)?;
            let build = BuildId::from_row(row.text(1, "certified_build.build")?);
            if let Some(it) = found.iter_mut().find(|it| it.id == of) {
                it.builds.push(build);
            }
        }
        Ok(found)
    }

    /// The newest report that covers a build; where a release manifest names one, that one alone.
    pub fn report_of(
        &mut self,
        build: &BuildId,
        named: Option<&str>,
    ) -> Result<Option<Report>, Error> {
        let found =
            self.row(REPORT_OF, &[build.as_str().into(), named.unwrap_or_default().into()])?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some(Report { builds: vec![build.clone()], ..report(&row)? }))
    }

    /// A report and its document.
    pub fn report_document(&mut self, id: ReportId) -> Result<Option<(Report, Vec<u8>)>, Error> {
        let found = self.row(REPORT_DOCUMENT, &[id.as_bytes().into()])?;
        let Some(row) = found else { return Ok(None) };
        Ok(Some((report(&row)?, row.blob(10, "certification_report.document")?.to_vec())))
    }

    /// Notes that somebody has acknowledged a report for a practice. `false` where that was done before.
    pub fn acknowledge_report(
        &mut self,
        practice: PracticeId,
        report: ReportId,
        build: &BuildId,
        person: PersonId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let done = self.run(
            ACKNOWLEDGE_REPORT,
            &[
                practice.as_bytes().into(),
                report.as_bytes().into(),
                build.as_str().into(),
                person.as_bytes().into(),
                now.micros().into(),
            ],
        )?;
        Ok(done == 1)
    }

    /// Who has acknowledged a report for a practice and a build, and when.
    pub fn report_acknowledged(
        &mut self,
        practice: PracticeId,
        report: ReportId,
        build: &BuildId,
    ) -> Result<Option<(PersonId, Timestamp)>, Error> {
        let found = self.row(
            REPORT_ACKNOWLEDGED,
            &[practice.as_bytes().into(), report.as_bytes().into(), build.as_str().into()],
        )?;
        let Some(row) = found else { return Ok(None) };
        let person = row.id(0, "report_acknowledgment.person", PersonId::from_slice)?;
        Ok(Some((person, time(&row, 1, "report_acknowledgment.acknowledged")?)))
    }

    /// Notes that a practitioner has read a report. `false` where that was done before.
    pub fn review_report(
        &mut self,
        person: PersonId,
        report: ReportId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let done = self.run(
            REVIEW_REPORT,
            &[person.as_bytes().into(), report.as_bytes().into(), now.micros().into()],
        )?;
        Ok(done == 1)
    }

    /// When a practitioner has read a report.
    pub fn report_reviewed(
        &mut self,
        person: PersonId,
        report: ReportId,
    ) -> Result<Option<Timestamp>, Error> {
        let found =
            self.row(REPORT_REVIEWED, &[person.as_bytes().into(), report.as_bytes().into()])?;
        found.map(|row| time(&row, 0, "report_review.reviewed")).transpose()
    }

    /// Enters a notice of non-compliance. While one is open no token signs, in no practice, also not through
    /// another server or the API. `false` where an equal one is open already; nothing is changed then.
    pub fn create_noncompliance(&mut self, it: &NoncomplianceNotice) -> Result<bool, Error> {
        // Whoever writes `sign_until` at this moment is waited for, and whoever comes later sees the notice: also who
        // enters the same one at the same time.
        self.row(LOCK_INSTANCE, &[])?;
        let open = self.open_noncompliance()?;
        let says = |it: &NoncomplianceNotice| (it.source.clone(), it.reason.clone(), it.through);
        if it.ended.is_none() && open.iter().any(|known| says(known) == says(it)) {
            return Ok(false);
        }
        self.run_one(
            CREATE_NONCOMPLIANCE,
            &[
                it.id.as_bytes().into(),
                it.source.as_str().into(),
                it.reason.as_str().into(),
                it.through.to_string().as_str().into(),
                it.entered.micros().into(),
                it.entered_by.as_str().into(),
                it.ended.map(Timestamp::micros).into(),
            ],
        )?;
        if it.ended.is_none() {
            self.run(STOP_SIGNING, &[])?;
        }
        Ok(true)
    }

    /// All notices of non-compliance, the newest first.
    pub fn noncompliance(&mut self) -> Result<Vec<NoncomplianceNotice>, Error> {
        self.rows(NONCOMPLIANCE, &[])?.iter().map(notice).collect()
    }

    /// How far each notice of non-compliance reaches, also of those that have ended: an old build stays what it is.
    pub fn notice_scopes(&mut self) -> Result<Vec<NoticeScope>, Error> {
        let column = "noncompliance_notice.through";
        self.rows(NOTICE_SCOPES, &[])?
            .iter()
            .map(|row| {
                Ok(NoticeScope {
                    through: parsed(row.text(0, column)?, column)?,
                    open: row.opt_int(1, "noncompliance_notice.ended")?.is_none(),
                })
            })
            .collect()
    }

    /// The notices of non-compliance that are open; nobody else may end them until the commit.
    pub fn open_noncompliance(&mut self) -> Result<Vec<NoncomplianceNotice>, Error> {
        self.rows(OPEN_NONCOMPLIANCE, &[])?.iter().map(notice).collect()
    }

    /// Ends a notice; `by` says by which build or whose word. With the last one, tokens sign again as permissions,
    /// registrations and licences stand.
    pub fn end_noncompliance(
        &mut self,
        id: NoticeId,
        by: &str,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.run_one(END_NONCOMPLIANCE, &[id.as_bytes().into(), now.micros().into(), by.into()])?;
        if !self.open_noncompliance()?.is_empty() {
            return Ok(());
        }
        let owners = self.rows(OWNERS_OF_ACTIVATED, &[])?;
        owners.iter().try_for_each(|row| {
            self.refresh_signing(row.id(0, "token.prescriber", PersonId::from_slice)?)
        })
    }

    /// Lets nobody enter a notice of non-compliance until the commit.
    pub(crate) fn share_instance(&mut self) -> Result<(), Error> {
        self.row(SHARED, &[]).map(drop)
    }
}
