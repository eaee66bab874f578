//! The commit: admit each change of a group, swap in the head that holds their records, tell each what became of it.

use infino_format::{Action, Deletes, Head, Record};

use crate::change::Change;
use crate::conflict::{Conflict, brings_keys, conflict};
use crate::error::WalError;
use crate::group::{self, Job};
use crate::log::{Committed, Current, Inner, Log, State};
use crate::rebase::{looked_at, rebase};
use crate::swap::{Pending, backoff};
use crate::vectors::Vectors;
use crate::{tail, token};

impl Log {
    /// Commits `change`: one swap if nobody else came first, else after what came first.
    ///
    /// # Errors
    /// [`WalError::Conflict`] if another commit changed what the change rests on; [`WalError::Unknown`] if the store
    /// gave no clear answer; after any other error nothing of the change is visible, now or later.
    pub async fn commit(&self, change: Change) -> Result<Committed, WalError> {
        if let Some(problem) = change.problem() {
            return Err(WalError::Invalid { problem });
        }
        group::join(&self.inner, change).await
    }
}

/// A change that may follow the current head, and its record.
struct Admitted {
    job: Job,
    record: Record,
}

impl Admitted {
    fn committed(self, won: &Current) {
        let _ = self.job.reply.send(Ok(Committed {
            version: self.record.version,
            commit: self.record.commit,
            head: won.head.clone(),
            replayed: false,
        }));
    }
}

/// What a change may do on a head.
enum Admission {
    /// Become a record, from the change rebased onto it.
    Rebased(Change),
    /// Nothing: its token was committed before.
    Replay(Committed),
    /// Wait for what becomes of a change before it in the group.
    Later,
}

/// What a group becomes.
struct Staged {
    /// The changes that share the swap.
    admitted: Vec<Admitted>,
    /// Those that must see what becomes of it first.
    later: Vec<Job>,
    /// The swap; `None` if nothing was admitted.
    pending: Option<Pending>,
}

impl Inner {
    /// Commits `jobs` in as few swaps as it takes, and replies to each.
    pub(crate) async fn commit_group(&self, state: &mut State, mut jobs: Vec<Job>) {
        if let Err(error) = self.ready(state, &jobs).await {
            return reply_all(jobs, &error);
        }
        let mut lost = 0;
        while !jobs.is_empty() {
            if lost == self.options.attempts_max {
                let (path, attempts) = (self.head_path.clone(), lost);
                return reply_all(jobs, &WalError::Contention { path, attempts });
            }
            let current = self.current();
            let Staged { admitted, later, pending } = self.stage(state, &current, jobs).await;
            jobs = later;
            if let Some(pending) = pending {
                state.next_seq += admitted.len() as u64;
                state.pending = Some(pending);
                match self.settle_pending(state).await {
                    Ok(Some(won)) => {
                        lost = 0;
                        admitted.into_iter().for_each(|admitted| admitted.committed(&won));
                    }
                    Ok(None) => {
                        let again = admitted.into_iter().map(|admitted| admitted.job);
                        jobs.splice(0..0, again);
                        if lost > 0 {
                            // The head that was read before the wait is old by now: building on it would lose again.
                            // If it cannot be read, the swap finds out.
                            backoff(&self.options, lost - 1).await;
                            let _ = self.refresh().await;
                        }
                        lost += 1;
                        tracing::debug!(lost, version = current.head.version, "lost the race");
                    }
                    Err(error) => {
                        let open = state.pending.is_some();
                        for Admitted { job, record } in admitted {
                            let unknown = WalError::Unknown(record.commit);
                            let outcome = if open { unknown } else { error.clone() };
                            let _ = job.reply.send(Err(outcome));
                        }
                        return reply_all(jobs, &error);
                    }
                }
            }
        }
    }

    /// Leaves no earlier swap open, and knows every version that `jobs` were made against.
    async fn ready(&self, state: &mut State, jobs: &[Job]) -> Result<(), WalError> {
        self.settle_pending(state).await?;
        let read = jobs.iter().map(|job| job.change.read_version).max().unwrap_or(0);
        if read > self.current().head.version {
            self.refresh().await?;
        }
        Ok(())
    }

    /// Admits `jobs` and stages the swap that publishes them; replies to those that are refused.
    async fn stage(&self, state: &State, current: &Current, jobs: Vec<Job>) -> Staged {
        let (mut admitted, mut later) = (Vec::new(), Vec::new());
        for mut job in jobs {
            let record = match self.admit(current, &admitted, &mut job.change).await {
                Ok(Admission::Rebased(change)) => {
                    self.record(&change, state, &admitted, current).await
                }
                Ok(Admission::Replay(committed)) => {
                    let _ = job.reply.send(Ok(committed));
                    continue;
                }
                Ok(Admission::Later) => {
                    later.push(job);
                    continue;
                }
                Err(error) => Err(error),
            };
            match record {
                Ok(record) => admitted.push(Admitted { job, record }),
                Err(error) => drop(job.reply.send(Err(error))),
            }
        }
        if admitted.is_empty() {
            return Staged { admitted, later, pending: None };
        }
        match self.publish(current, &admitted).await {
            Ok(pending) => Staged { admitted, later, pending: Some(pending) },
            Err(error) => {
                let mut refused: Vec<_> = admitted.into_iter().map(|one| one.job).collect();
                refused.append(&mut later);
                reply_all(refused, &error);
                Staged { admitted: Vec::new(), later: Vec::new(), pending: None }
            }
        }
    }

    /// Decides what `change` may do after `current` and the `mates` of its group that come before it.
    async fn admit(
        &self,
        current: &Current,
        mates: &[Admitted],
        change: &mut Change,
    ) -> Result<Admission, WalError> {
        let head = &current.head;
        if let Some((version, commit)) = token::find(head, change) {
            let head = head.clone();
            return Ok(Admission::Replay(Committed { version, commit, head, replayed: true }));
        }
        if change.epoch.saturating_add(1) < head.epoch {
            return Err(Conflict::Fenced { staged: change.epoch, epoch: head.epoch }.into());
        }
        if change.read_version > head.version {
            let (read, newest) = (change.read_version, head.version);
            let problem = format!("made against version {read}, the newest is {newest}");
            return Err(WalError::Invalid { problem });
        }
        if change.read_version < head.version {
            for winner in &self.since(head, change.read_version).await? {
                *change = self.follow(change.clone(), winner).await?;
            }
        }
        let mut rebased = change.clone();
        for mate in mates {
            let twin = change.token.is_some() && mate.record.token == change.token;
            if twin || mate.record.commit == change.commit {
                return Ok(Admission::Later);
            }
            rebased = match self.follow(rebased, &mate.record).await {
                // The mate may yet fail, and then it was no reason to refuse this one.
                Err(WalError::Conflict(_)) => return Ok(Admission::Later),
                other => other?,
            };
        }
        Ok(Admission::Rebased(rebased))
    }

    /// `change` rebased onto `winner`.
    async fn follow(&self, change: Change, winner: &Record) -> Result<Change, WalError> {
        let mut vectors = Vectors::default();
        for deletes in looked_at(&change, winner) {
            self.load(&mut vectors, &deletes).await?;
        }
        let corrupt = || WalError::corrupt(&self.head_path);
        conflict(&change, winner, &vectors).map_err(corrupt())??;
        if let Some(keys) = &change.keys
            && brings_keys(winner)
            && keys.clashes(winner).await
        {
            return Err(Conflict::KeysTaken { version: winner.version }.into());
        }
        rebase(change, winner, &vectors).map_err(corrupt())
    }

    /// The record of `change`, after `current` and the `mates` of its group; puts the deletion vectors it names.
    async fn record(
        &self,
        change: &Change,
        state: &State,
        mates: &[Admitted],
        current: &Current,
    ) -> Result<Record, WalError> {
        let mut actions = change.actions.clone();
        let mut vectors = Vectors::default();
        for dead in &change.deletes {
            if let Some(base) = &dead.base {
                self.load(&mut vectors, base).await?;
            }
            let base = vectors
                .rows(dead.base.as_ref())
                .map_err(WalError::corrupt(&dead.superfile.to_string()))?;
            let (deletes, bytes) = Deletes::of(&(base | &dead.rows));
            if let (Some(object), Some(bytes)) = (deletes.object(), bytes) {
                self.put(object, bytes).await?;
            }
            actions.push(Action::SetDeletes { superfile: dead.superfile, deletes });
        }
        let before = mates.last().map_or(current.head.time_ms, |mate| mate.record.time_ms);
        Ok(Record {
            version: current.head.version + 1 + mates.len() as u64,
            commit: change.commit,
            writer: self.writer,
            writer_seq: state.next_seq + mates.len() as u64,
            time_ms: (self.options.now_ms)().max(before),
            operation: change.operation,
            token: change.token.clone(),
            actions,
        })
    }

    /// Readies the swap to the head that holds the records of `admitted`, and puts what that head names.
    async fn publish(&self, current: &Current, admitted: &[Admitted]) -> Result<Pending, WalError> {
        let mut head = (*current.head).clone();
        let mut segments = Vec::new();
        let mut inline_bytes_max = current.bytes.len();
        for Admitted { record, .. } in admitted {
            head.version = record.version;
            head.commit = record.commit;
            head.time_ms = record.time_ms;
            token::remember(&mut head, record);
            segments.extend(tail::push(&mut head.tail, record.clone(), &mut inline_bytes_max));
        }
        let count = tail::segments(&head.tail);
        if count > tail::TAIL_SEGMENTS_MAX {
            return Err(WalError::TailFull { path: self.head_path.clone(), segments: count });
        }
        for segment in segments {
            self.put(&segment.reference.object, segment.bytes).await?;
        }
        let records = admitted.iter().map(|admitted| admitted.record.clone()).collect();
        self.pending(current, head, records)
    }

    /// The swap that puts `head` in place of `current`.
    pub(crate) fn pending(
        &self,
        current: &Current,
        mut head: Head,
        records: Vec<Record>,
    ) -> Result<Pending, WalError> {
        head.swap = current.head.swap + 1;
        head.parent = *blake3::hash(&current.bytes).as_bytes();
        Pending::new(&self.head_path, Some(current.tag.clone()), head, records)
    }
}

fn reply_all(jobs: Vec<Job>, error: &WalError) {
    for job in jobs {
        let _ = job.reply.send(Err(error.clone()));
    }
}
