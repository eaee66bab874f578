use std::time::Duration;

use super::*;
use crate::MemoryStore;

fn faulty(rules: impl IntoIterator<Item = Rule>) -> Arc<FaultStore> {
    let store = FaultStore::new(Arc::new(MemoryStore::new()), 7);
    for rule in rules {
        store.add(rule);
    }
    store
}

#[tokio::test]
async fn faults_before_do_nothing_and_faults_after_do_it_unseen() {
    for (fault, landed) in [(Fault::Fail, false), (Fault::FailAfter, true), (Fault::Deny, false)] {
        let store = faulty([Rule::new(fault.clone()).on([Operation::Put])]);
        assert!(store.put("o", "x".into()).await.is_err(), "{fault:?}");
        assert_eq!(store.inner().get("o").await.is_ok(), landed, "{fault:?}");
    }
}

#[tokio::test]
async fn a_swap_that_won_may_be_told_that_it_lost() {
    let store = faulty([Rule::new(Fault::Duplicate).on([Operation::Swap])]);
    assert!(matches!(store.swap("o", None, "mine".into()).await, Swap::Lost));
    assert_eq!(store.get("o").await.unwrap().0, "mine");
}

#[tokio::test(start_paused = true)]
async fn a_late_write_lands_after_its_error() {
    let store = faulty([Rule::new(Fault::Late(Duration::from_secs(3))).on([Operation::Swap])]);
    assert!(matches!(store.swap("o", None, "late".into()).await, Swap::Unclear(_)));
    assert!(store.get("o").await.is_err());
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(store.get("o").await.unwrap().0, "late");
}

#[tokio::test]
async fn reads_are_spoilt_as_told() {
    let store = faulty([
        Rule::new(Fault::Truncate).on([Operation::Get]).times(1),
        Rule::new(Fault::BitFlip).on([Operation::Get]).times(1),
        Rule::new(Fault::BitFlip).on([Operation::GetRanges]).times(1),
    ]);
    let bytes = Bytes::from(vec![0u8; 64]);
    store.put("o", bytes.clone()).await.unwrap();
    assert_eq!(store.get("o").await.unwrap().0.len(), 32);
    let flipped = store.get("o").await.unwrap().0;
    assert_eq!(flipped.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    let ranges = store.get_ranges("o", &[0..8, 8..16]).await.unwrap();
    assert_eq!(ranges.iter().flatten().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    assert_eq!(store.get("o").await.unwrap().0, bytes, "the rules are used up");
}

#[tokio::test]
async fn after_a_crash_nothing_works_until_healed() {
    for (crash, landed) in [(Crash::Before, false), (Crash::After, true)] {
        let store = faulty([]);
        store.crash_at(1, crash);
        store.put("a", "1".into()).await.unwrap();
        assert!(!store.has_crashed());
        assert!(store.put("b", "2".into()).await.is_err());
        assert!(store.has_crashed());
        assert!(store.get("a").await.is_err());
        store.heal();
        assert_eq!(store.get("b").await.is_ok(), landed);
        assert_eq!(store.operations(), 4);
    }
}

#[tokio::test]
async fn rules_choose_by_path_and_number() {
    let store = faulty([Rule::new(Fault::Fail).path("head").after(1).times(2)]);
    let mut outcomes = Vec::new();
    for name in ["head", "other", "head", "head", "head"] {
        outcomes.push(store.put(name, "x".into()).await.is_ok());
    }
    assert_eq!(outcomes, [true, true, false, false, true]);
}

#[tokio::test]
async fn a_stale_list_misses_the_newest() {
    let store = faulty([Rule::new(Fault::StaleList(1))]);
    store.put("f/a", "x".into()).await.unwrap();
    std::thread::sleep(Duration::from_millis(3));
    store.put("f/b", "x".into()).await.unwrap();
    let listed = store.list("f").await.unwrap();
    assert_eq!(listed.iter().map(|info| info.path.as_str()).collect::<Vec<_>>(), ["f/a"]);
}

#[tokio::test]
async fn everything_is_counted() {
    let store = FaultStore::counting(Arc::new(MemoryStore::new()));
    store.put("o", Bytes::from(vec![1; 100])).await.unwrap();
    store.get_ranges("o", &[0..10, 20..25]).await.unwrap();
    let _ = store.get("absent").await;
    let _ = store.swap("o", None, "x".into()).await;
    let counters = store.counters();
    let ranges = counters.of(Operation::GetRanges);
    assert_eq!((ranges.calls, ranges.ranges, ranges.bytes_read), (1, 2, 15));
    assert_eq!(counters.of(Operation::Put).bytes_written, 100);
    assert_eq!((counters.of(Operation::Get).failed, counters.of(Operation::Swap).failed), (1, 1));
    assert_eq!(counters.total().calls, 4);
    assert_eq!(
        counters.to_string(),
        "Get 1, GetRanges 1 (2 ranges) 15 bytes, Put 1 100 bytes, Swap 1 1 bytes"
    );
    assert_eq!(store.reset_counters(), counters);
    assert_eq!(store.counters(), Counters::default());
}

#[tokio::test]
async fn equal_seeds_give_equal_faults() {
    let run = |seed| async move {
        let store = FaultStore::new(Arc::new(MemoryStore::new()), seed);
        store.add(Rule::new(Fault::Fail).chance(0.5));
        let mut outcomes = Vec::new();
        for _ in 0..64 {
            outcomes.push(store.put("o", "x".into()).await.is_ok());
        }
        outcomes
    };
    assert_eq!(run(1).await, run(1).await);
    assert_ne!(run(1).await, run(2).await);
}
