use super::*;

fn zone(text: &str) -> Zone {
    Zone::parse(text).expect("a zone")
}

/// 2021-03-09 05:04:03.078 in Los Angeles.
const MOMENT: i64 = 1_615_295_043_078;

#[test]
fn prints_like_java() {
    for (pattern, expected) in [
        ("G GGGG u uu uuuuu y yy yyyy", "AD Anno Domini 2021 21 02021 2021 21 2021"),
        ("Y YY YYYY w ww W e ee eee eeee c ccc cccc", "2021 21 2021 11 11 2 3 03 Tue Tuesday 3 Tue Tuesday"),
        ("M MM MMM MMMM MMMMM L LL LLL LLLL", "3 03 Mar March M 3 03 Mar March"),
        ("D DD DDD d dd E EE EEE EEEE EEEEE a", "68 68 068 9 09 Tue Tue Tue Tuesday T AM"),
        ("h hh H HH k kk K KK m mm s ss", "5 05 5 05 5 05 5 05 4 04 3 03"),
        ("S SS SSS SSSSSS n A AAAAAAAAAA", "0 07 078 078000 78000000 18243078 0018243078"),
        ("VV z zz zzzz O OOOO", "America/Los_Angeles PST PST Pacific Standard Time GMT-8 GMT-08:00"),
        ("X XX XXX XXXX XXXXX", "-08 -0800 -08:00 -0800 -08:00"),
        ("x xx xxx Z ZZ ZZZ ZZZZ ZZZZZ", "-08 -0800 -08:00 -0800 -0800 -0800 GMT-08:00 -08:00"),
        ("Q QQ QQQ QQQQ", "1 01 Q1 1st quarter"),
        ("yyyy-MM-dd'T'HH:mm''ss", "2021-03-09T05:04'03"),
        ("'it''s' [HH]yyyy F", "it's 052021 2"),
    ] {
        let text = DatePattern::new(pattern).expect("valid").format_timestamp(MOMENT, zone("America/Los_Angeles"));
        assert_eq!(text.as_deref(), Ok(expected), "{pattern}");
    }
    let utc = |p: &str| DatePattern::new(p).expect("valid").format_timestamp(MOMENT, Zone::UTC).expect("printable");
    assert_eq!(utc("yyyy-MM-dd HH:mm:ss.SSS X XXX x Z O"), "2021-03-09 13:04:03.078 Z Z +00 +0000 GMT");
}

#[test]
fn dates_and_times_print_only_what_they_have() {
    let pattern = |p: &str| DatePattern::new(p).expect("valid");
    assert_eq!(pattern("dd/MM/yyyy").format_date(18_000).as_deref(), Ok("14/04/2019"));
    assert_eq!(pattern("yyyy[ HH]").format_date(18_000).as_deref(), Ok("2019"));
    assert!(pattern("yyyy HH").format_date(18_000).is_err());
    assert_eq!(pattern("HH:mm:ss.SSS").format_time(3_723_004).as_deref(), Ok("01:02:03.004"));
    assert!(pattern("yyyy").format_time(0).is_err());
    assert_eq!(pattern("yyyy").format_date(3_000_000).as_deref(), Ok("+10183"));
}

#[test]
fn reads_timestamps() {
    for (pattern, text, expected) in [
        ("yyyy-MM-dd'T'HH:mm:ss.SSSX", "2021-03-09T13:04:03.078Z", MOMENT),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", "2021-03-09T05:04:03-08:00", MOMENT - 78),
        ("yyyyMMddHHmmssSSS", "20210309130403078", MOMENT),
        ("yyyyMMdd", "19700102", 86_400_000),
        ("yyyy-MM-dd HH:mm:ss VV", "2021-03-09 05:04:03 America/Los_Angeles", MOMENT - 78),
        ("yyyy-MM-dd HH:mm:ss z", "2021-03-09 05:04:03 PST", MOMENT - 78),
        ("d MMM yyyy h:mm a", "9 MAR 2021 1:04 pm", MOMENT - 3_078),
        ("EEEE, d MMMM yy", "Tuesday, 9 March 21", 1_615_248_000_000),
        ("yyyy-MM-dd[ HH:mm[:ss]]", "1970-01-01", 0),
        ("yyyy-MM-dd[ HH:mm[:ss]]", "1970-01-01 00:01", 60_000),
        ("yyyy-MM-dd[ HH:mm[:ss]]", "1970-01-01 00:01:01", 61_000),
        ("HH:mm", "00:01", 60_000),
        ("yyyy DDD", "1970 032", 31 * 86_400_000),
        ("MM-dd", "02-29", (730 + 59) * 86_400_000),
        ("yyyy-MM-dd HH", "1970-01-01 24", 86_400_000),
        ("yyyy-MM-dd", "2021-02-31", 1_614_470_400_000),
        ("'at' yyyy", "AT 1971", 365 * 86_400_000),
    ] {
        let result = DatePattern::new(pattern).expect("valid").parse_timestamp(text, Zone::UTC);
        assert_eq!(result, Ok(expected), "{pattern} {text}");
    }
}

#[test]
fn refuses_what_does_not_match() {
    for (pattern, text) in [
        ("yyyy-MM-dd", "2020-1-1"),
        ("yyyy-MM-dd", "20200-01-01"),
        ("yyyy-MM-dd", "2020-13-01"),
        ("yyyy-MM-dd", "2020-01-01 "),
        ("yyyy-MM-dd", "x"),
        ("yyyy-MM-dd", ""),
        ("EEE yyyy-MM-dd", "Mon 2021-03-09"),
        ("yyyy-MM-dd XXX", "2021-03-09 0800"),
    ] {
        assert!(
            DatePattern::new(pattern).expect("valid").parse_timestamp(text, Zone::UTC).is_err(),
            "{pattern} {text}"
        );
    }
    for pattern in ["ddd", "HHH", "VVV", "b", "EEEEEE", "'open", "]", "zzzzz"] {
        assert!(DatePattern::new(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn dates_times_and_default_zones() {
    let pattern = |p: &str| DatePattern::new(p).expect("valid");
    assert_eq!(pattern("dd.MM.yyyy").parse_date("14.04.2019"), Ok(18_000));
    assert_eq!(pattern("HHmmss").parse_time("010203"), Ok(3_723_000));
    let los_angeles = zone("America/Los_Angeles");
    let parse = |text| pattern("yyyy-MM-dd HH:mm").parse_timestamp(text, los_angeles);
    assert_eq!(parse("2021-03-09 05:04"), Ok(MOMENT - 3_078));
    // The clock goes from 02:00 to 03:00 on that day.
    assert_eq!(parse("2021-03-14 02:30"), Ok(1_615_717_800_000));
    assert_eq!(parse("2021-11-07 01:30"), Ok(1_636_273_800_000));
}

#[test]
fn zones_read_and_print() {
    for (text, printed) in [("UTC", "UTC"), ("+02:00", "+02:00"), ("GMT-3", "-03:00"), ("Europe/Paris", "Europe/Paris")]
    {
        assert_eq!(zone(text).to_string(), printed);
    }
    assert!(Zone::parse("Mars/Olympus").is_err());
}

proptest::proptest! {
    #[test]
    fn what_is_printed_reads_back(ms in -60_000_000_000_000i64..250_000_000_000_000) {
        let pattern = DatePattern::new("uuuu-MM-dd'T'HH:mm:ss.SSSXXX").expect("valid");
        let text = pattern.format_timestamp(ms, zone("Europe/Paris")).expect("printable");
        // Offsets of the nineteenth century have seconds, which the pattern cuts.
        if ms > -1_500_000_000_000 {
            proptest::prop_assert_eq!(pattern.parse_timestamp(&text, Zone::UTC), Ok(ms));
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,24}") {
        for pattern in ["yyyy-MM-dd'T'HH:mm:ss.SSSX", "EEE MMM d HH:mm:ss z yyyy", "yyyyMMdd[HHmm]", "O VV GGGG"] {
            let _ = DatePattern::new(pattern).expect("valid").parse_timestamp(&text, Zone::UTC);
        }
        let _ = DatePattern::new(&text);
    }
}
