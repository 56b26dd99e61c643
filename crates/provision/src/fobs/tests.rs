use super::*;

const HEAD: &str = "serial,secret,algorithm,digits,period,last_day\n";
const GOOD: &str = "AVT123456789,000102030405060708090a0b0c0d0e0f10111213,sha1,6,30,2031-05-31";
const OTHER: &str = "AVT987654321,000102030405060708090a0b0c0d0e0f10111213,SHA-256,8,60,2031-05-31";

fn refused(file: &str) -> FobsError {
    match read(file.as_bytes(), None) {
        Ok(_) => panic!("taken: {file:?}"),
        Err(error) => error,
    }
}

#[test]
fn a_delivery_is_read() {
    for text in [
        format!("{HEAD}{GOOD}\n{OTHER}\n"),
        format!("{HEAD}{GOOD}\n{OTHER}"),
        format!("{HEAD}\n{GOOD}\n   \n\n{OTHER}\n\n"),
        format!("{HEAD}{GOOD}\n{OTHER}\n").replace('\n', "\r\n"),
        format!("{HEAD}{GOOD}\n{OTHER}\n").replace(',', " , "),
        format!("{HEAD}\"{}\"\n{OTHER}\n", GOOD.replace(',', "\",\"")),
    ] {
        let fobs = read(text.as_bytes(), None).unwrap_or_else(|error| panic!("{error}: {text}"));
        let [one, two] = &fobs[..] else { panic!("{text}") };
        assert_eq!(one.credential.as_str(), "AVT123456789");
        assert_eq!((one.params.digits(), one.params.period()), (6, 30));
        assert_eq!((two.params.digits(), two.params.period()), (8, 60));
        // 2031-06-01 00:00 UTC.
        assert_eq!(one.ends, Timestamp::from_seconds(1_938_038_400));
    }
}

#[test]
fn a_line_says_what_is_wrong_and_never_the_secret() {
    for (from, to, why) in [
        ("AVT123456789", "AVT12", "line 4: serial: "),
        ("AVT123456789", "SYMC12345678", "line 4: serial: this is the ID of an app"),
        ("AVT123456789", "123456789", "line 4: serial: "),
        ("0001020304", "zz01020304", "line 4: secret: hexadecimal"),
        ("000102030405060708090a0b0c0d0e0f10111213", "0001", "line 4: secret: at least 128 bits"),
        ("sha1", "md5", "line 4: algorithm: sha1, sha256"),
        (",6,", ",six,", "line 4: digits and period are numbers"),
        (",6,", ",9,", "line 4: 6 to 8 digits"),
        (",30,", ",600,", "line 4: 6 to 8 digits and a period of at most 120 seconds"),
        ("2031-05-31", "soon", "line 4: last_day: "),
        (",2031-05-31", "", "line 4: six values"),
        ("2031-05-31", "2031-05-31,", "line 4: six values"),
        (",6,", ",6,,,,,,,", "line 4: six values"),
        ("AVT123456789", "\"AVT123456789", "line 4: six values"),
        ("AVT123456789", "AVT987654321", "line 4: this serial number stands in the file twice"),
        ("2031-05-31", &" ".repeat(MAX_LINE_BYTES), "line 4: the line is longer"),
    ] {
        // An empty line counts, for whoever looks for it in an editor.
        let said = refused(&format!("{HEAD}\n{OTHER}\n{}\n", GOOD.replace(from, to))).to_string();
        assert!(said.starts_with(why), "{to}: {said}");
        assert!(!said.contains("0001020304"), "{said}");
    }
}

#[test]
fn a_file_is_text_of_these_columns_within_its_limit() {
    for (file, fault) in [
        (String::new(), Fault::Head),
        (GOOD.to_owned(), Fault::Head),
        (format!("\n{HEAD}{GOOD}"), Fault::Head),
        (HEAD.replace("serial,secret", "secret,serial") + GOOD, Fault::Head),
        (HEAD.replace("last_day", "last_day,note") + GOOD, Fault::Head),
        (HEAD.to_owned(), Fault::Empty),
        (format!("{HEAD}\n  \n"), Fault::Empty),
        (format!("{HEAD}{}", "\n".repeat(MAX_BYTES)), Fault::TooLong),
    ] {
        let error = refused(&file);
        assert_eq!((error.line, error.fault), (None, fault), "{:?}", file.get(..80));
    }
    let broken = [HEAD.as_bytes(), &[0xff], GOOD.as_bytes()].concat();
    assert_eq!(read(&broken, None).err(), Some(Fault::NotText.into()));
}
