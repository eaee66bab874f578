use proptest::prelude::*;

use super::*;
use crate::MemoryStore;

fn check_plan(ranges: &[Range<u64>], gap: u64, part: u64, expected: &[Range<u64>]) {
    assert_eq!(Requests::plan("o", ranges, gap, part).unwrap().spans, expected);
}

#[test]
fn near_ranges_become_one_request() {
    check_plan(&[0..10, 15..20], 5, 100, &[0..20]);
    check_plan(&[0..10, 16..20], 5, 100, &[0..10, 16..20]);
    check_plan(&[16..20, 0..10, 2..4], 5, 100, &[0..10, 16..20]);
    check_plan(&[5..5, 7..7], 5, 100, &[]);
}

#[test]
fn long_ranges_are_cut_and_slivers_are_not() {
    check_plan(&[0..100], 0, 40, &[0..40, 40..80, 80..100]);
    check_plan(&[0..90], 0, 40, &[0..40, 40..90]);
    check_plan(&[0..41], 0, 40, &[0..41]);
}

#[test]
fn a_range_that_ends_before_it_begins_is_refused() {
    #[expect(clippy::reversed_empty_ranges, reason = "the bad input under test")]
    let backward = [5..3];
    assert!(Requests::plan("o", &backward, 0, 10).is_err());
}

proptest! {
    #[test]
    fn answers_are_the_ranges(
        ranges in prop::collection::vec((0u64..1000, 0u64..300), 0..20),
        gap in 0u64..50,
        part in 1u64..200,
    ) {
        let object = Bytes::from((0..1300u32).map(|i| (i * 7 % 251) as u8).collect::<Vec<_>>());
        let ranges: Vec<_> = ranges.into_iter().map(|(start, len)| start..start + len).collect();
        let requests = Requests::plan("o", &ranges, gap, part).unwrap();
        let spans: Vec<_> =
            requests.spans.iter().map(|span| slice("o", &object, span).unwrap()).collect();
        let answers = requests.answer(&ranges, &spans);
        for (range, answer) in ranges.iter().zip(answers) {
            prop_assert_eq!(answer, slice("o", &object, range).unwrap());
        }
        prop_assert!(requests.spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
}

/// Asks for the given ranges one step after the other and returns what it got.
struct Asks {
    steps: Vec<Vec<Range<u64>>>,
    got: Vec<Bytes>,
}

impl Fetch for Asks {
    type Output = Vec<Bytes>;
    type Error = FormatError;

    fn step(&mut self, bytes: Vec<Bytes>) -> Result<Step<Vec<Bytes>>, FormatError> {
        self.got.extend(bytes);
        if self.steps.is_empty() {
            return Ok(Step::Done(std::mem::take(&mut self.got)));
        }
        Ok(Step::Ranges(self.steps.remove(0)))
    }
}

async fn check_run(steps: &[&[Range<u64>]]) -> Result<Vec<Bytes>, RunError<FormatError>> {
    let store = MemoryStore::new();
    store.put("o", Bytes::from_static(b"..section..")).await.unwrap();
    let asks = Asks { steps: steps.iter().map(|step| step.to_vec()).collect(), got: Vec::new() };
    run(&store, "o", 2, 7, asks).await
}

#[tokio::test]
async fn a_fetch_reads_relative_to_its_section() {
    let got = check_run(&[&[0..3], &[3..7, 0..1]]).await.unwrap();
    assert_eq!(got, ["sec", "tion", "s"]);
}

#[tokio::test]
async fn a_fetch_cannot_leave_its_section() {
    for bad in [0..8, 7..9, u64::MAX - 1..u64::MAX] {
        let outcome = check_run(&[&[bad]]).await;
        assert!(matches!(outcome, Err(RunError::Fetch(FormatError::Truncated { .. }))));
    }
}
