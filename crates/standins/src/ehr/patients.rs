//! The made-up patients of the stand-in EHR.
//!
//! Names say that they are invented, and no date, number or note is taken from anybody.

use countersign_domain::Timestamp;

use crate::views::{EhrMedication, EhrNote, EhrPatient};

/// A chart as it is written down here; ages are reckoned when it is shown.
pub(super) struct Chart {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    /// Year, month, day.
    born: (i64, u32, u32),
    pub(super) sex: &'static str,
    pub(super) mrn: &'static str,
    /// Line, city, state, postal code.
    pub(super) address: [&'static str; 4],
    pub(super) allergies: &'static [&'static str],
    pub(super) problems: &'static [&'static str],
    /// Name and strength, directions, since.
    pub(super) medications: &'static [[&'static str; 3]],
    /// Day, author, text; newest first.
    notes: &'static [[&'static str; 3]],
    last_visit: &'static str,
}

impl Chart {
    /// Date of birth, `YYYY-MM-DD`: in the chart as in the launch, so that the two can be compared.
    pub(super) fn birth_date(&self) -> String {
        let (year, month, day) = self.born;
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn age(&self, now: Timestamp) -> i64 {
        let (born_year, born_month, born_day) = self.born;
        let (year, month, day, ..) = now.civil();
        year - born_year - i64::from((month, day) < (born_month, born_day))
    }

    /// The chart ready to be shown.
    pub(super) fn view(&self, now: Timestamp) -> EhrPatient {
        let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
        EhrPatient {
            id: self.id.to_owned(),
            name: self.name.to_owned(),
            born: self.birth_date(),
            age_and_sex: format!("{}, {}", self.age(now), self.sex),
            mrn: self.mrn.to_owned(),
            allergies: texts(self.allergies),
            problems: texts(self.problems),
            medications: self
                .medications
                .iter()
                .map(|&[name, directions, since]| EhrMedication {
                    name: name.to_owned(),
                    directions: directions.to_owned(),
                    since: since.to_owned(),
                })
                .collect(),
            notes: self
                .notes
                .iter()
                .map(|&[date, author, text]| EhrNote {
                    date: date.to_owned(),
                    author: author.to_owned(),
                    text: text.to_owned(),
                })
                .collect(),
            last_visit: self.last_visit.to_owned(),
        }
    }
}

pub(super) static CHARTS: [Chart; 6] = [
    Chart {
        id: super::FIRST_PATIENT,
        name: "Marigold Testerly",
        born: (1971, 3, 14),
        sex: "female",
        mrn: "DEMO-100101",
        address: ["4 Invented Lane", "Lincoln", "NE", "68501"],
        allergies: &["Penicillin: rash", "Latex: itching"],
        problems: &[
            "Low back pain after a fall, with sciatica on the left",
            "High blood pressure",
            "Insomnia",
        ],
        medications: &[
            [
                "Oxycodone 5 mg tablet (C-II)",
                "1 tablet every 6 hours as needed for pain, up to 4 days",
                "2026-05-04",
            ],
            ["Lisinopril 10 mg tablet", "1 tablet every morning", "2023-09-12"],
            ["Acetaminophen 500 mg tablet", "2 tablets every 8 hours", "2026-04-20"],
        ],
        notes: &[
            [
                "2026-05-04",
                "Visit note",
                "Pain 7 of 10 when standing, less when lying down. No loss of strength, no trouble \
                 with bladder or bowel. Physical therapy started. Short course for the worst days; \
                 risks discussed, PDMP checked.",
            ],
            [
                "2026-04-20",
                "Phone call",
                "Slipped on the stairs two days ago. Advice: keep moving, heat, acetaminophen. \
                 Come in if it gets worse.",
            ],
        ],
        last_visit: "2026-05-04",
    },
    Chart {
        id: "p-1002",
        name: "Barnaby Samplewick",
        born: (2014, 8, 29),
        sex: "male",
        mrn: "DEMO-100102",
        address: ["17 Pretend Street", "Lincoln", "NE", "68501"],
        allergies: &[],
        problems: &["Attention deficit hyperactivity disorder, combined type"],
        medications: &[[
            "Methylphenidate 18 mg extended-release tablet (C-II)",
            "1 tablet every morning on school days",
            "2025-10-06",
        ]],
        notes: &[[
            "2026-04-13",
            "Visit note",
            "Teacher reports steady work until early afternoon. Sleeps and eats well. Height and \
             weight on his curve. Same dose, follow up before summer.",
        ]],
        last_visit: "2026-04-13",
    },
    Chart {
        id: "p-1003",
        name: "Odalys Mockingham",
        born: (1986, 12, 2),
        sex: "female",
        mrn: "DEMO-100103",
        address: ["220 Sample Avenue", "Lincoln", "NE", "68501"],
        allergies: &["Sulfa antibiotics: hives"],
        problems: &["Opioid use disorder, in stable treatment", "Seasonal hay fever"],
        medications: &[
            [
                "Buprenorphine 8 mg / naloxone 2 mg film (C-III)",
                "1 film under the tongue twice a day",
                "2024-02-19",
            ],
            ["Cetirizine 10 mg tablet", "1 tablet a day in spring", "2022-03-30"],
            ["Naloxone 4 mg nasal spray", "1 spray for an overdose, then call 911", "2024-02-19"],
        ],
        notes: &[[
            "2026-05-11",
            "Visit note",
            "27 months in treatment. No cravings this month, works full time. Nasal spray at home has not \
             expired, her sister knows how to use it. Continue, follow up in four weeks.",
        ]],
        last_visit: "2026-05-11",
    },
    Chart {
        id: "p-1004",
        name: "Thaddeus Placeholt",
        born: (1948, 6, 21),
        sex: "male",
        mrn: "DEMO-100104",
        address: ["9 Nowhere Court", "Lincoln", "NE", "68501"],
        allergies: &["Codeine: vomiting"],
        problems: &["Knee arthritis, both sides", "Type 2 diabetes", "Atrial fibrillation"],
        medications: &[
            ["Metformin 1000 mg tablet", "1 tablet with breakfast and dinner", "2019-11-05"],
            ["Apixaban 5 mg tablet", "1 tablet twice a day", "2021-01-27"],
            ["Tramadol 50 mg tablet (C-IV)", "1 tablet at bedtime as needed", "2026-03-02"],
        ],
        notes: &[
            [
                "2026-03-02",
                "Visit note",
                "Wakes from knee pain three nights a week. No anti-inflammatories, because of the \
                 apixaban. Trial of one tablet at night, injection planned.",
            ],
            ["2026-02-10", "Nurse's note", "Blood sugar log reviewed: mornings 110 to 140."],
        ],
        last_visit: "2026-03-02",
    },
    Chart {
        id: "p-1005",
        name: "Wilhelmina Fauxley-Demo",
        born: (1995, 1, 30),
        sex: "female",
        mrn: "DEMO-100105",
        address: ["31 Mock Road", "Lincoln", "NE", "68501"],
        allergies: &[],
        problems: &["Panic disorder", "Migraine without aura"],
        medications: &[
            ["Sertraline 50 mg tablet", "1 tablet every morning", "2025-07-14"],
            [
                "Clonazepam 0.5 mg tablet (C-IV)",
                "Half a tablet for a panic attack, up to 6 a month",
                "2025-07-14",
            ],
        ],
        notes: &[[
            "2026-05-18",
            "Visit note",
            "One attack in six weeks, passed without the tablet. Continues therapy. Plan to stop \
             clonazepam by fall if this lasts.",
        ]],
        last_visit: "2026-05-18",
    },
    Chart {
        id: "p-1006",
        name: "Ignatius Notreal",
        born: (2001, 10, 9),
        sex: "male",
        mrn: "DEMO-100106",
        address: ["56 Fiction Drive", "Lincoln", "NE", "68501"],
        allergies: &[],
        problems: &[],
        medications: &[],
        notes: &[],
        last_visit: "2025-12-01",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ages_are_full_years() {
        let [first, ..] = &CHARTS;
        // 2026-03-13 and 2026-03-14, around the birthday.
        let eve = Timestamp::from_seconds(1_773_446_399);
        assert_eq!(first.age(eve), 54);
        assert_eq!(first.age(eve.plus_seconds(1)), 55);
        assert_eq!(first.view(eve).age_and_sex, "54, female");
        assert_eq!(first.view(eve).born, "1971-03-14");
    }

    #[test]
    fn ids_and_record_numbers_are_unique() {
        for of in [|chart: &Chart| chart.id, |chart: &Chart| chart.mrn] {
            assert_eq!(CHARTS.iter().map(of).collect::<BTreeSet<_>>().len(), CHARTS.len());
        }
    }
}
