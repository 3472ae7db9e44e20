//! Collects ended children, and kills the processes that a member has left behind.

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, wait, waitid,
};

use super::exit_status::ExitStatus;
use crate::member::tag::{self, GroupTag};

/// Collects all ended children, adopted orphans too, and returns those of the list `children` with
/// their exit status. The rest of their process groups is killed.
pub(super) fn reap(children: &[Pid]) -> Vec<(Pid, ExitStatus)> {
    let ended = children
        .iter()
        .filter_map(|pid| Some((*pid, reap_one(*pid)?)));
    let mut ended: Vec<_> = ended.collect();
    reap_orphans(children, &mut ended);
    ended
}

/// Collects one child if it has ended. Its process group is killed before that: until a child is
/// collected, no other process can get its number.
fn reap_one(pid: Pid) -> Option<ExitStatus> {
    let without_collecting = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(pid), without_collecting).ok()??;
    kill_group(pid);
    let _ = waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    );
    let signal = status.terminating_signal();
    Some(ExitStatus::new(status.exit_status(), signal))
}

/// Collects all other ended children. One of the list may be among them, if it ended in the
/// meantime.
fn reap_orphans(children: &[Pid], ended: &mut Vec<(Pid, ExitStatus)>) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if children.contains(&pid) {
            kill_group(pid);
            let status = ExitStatus::new(status.exit_status(), status.terminating_signal());
            ended.push((pid, status));
        }
    }
}

fn kill_group(leader: Pid) {
    // It fails if no process is left.
    let _ = kill_process_group(leader, Signal::KILL);
}

/// The orphans that this process has adopted.
#[derive(Debug)]
pub(super) struct Orphans {
    /// Children that this process had before it became a supervisor, for example those of a shell
    /// that has called `exec`.
    preexisting: Vec<Pid>,
}

impl Orphans {
    /// Makes this process adopt orphans. It must run before the first member is started.
    pub(super) fn adopt() -> std::io::Result<Self> {
        adopt_orphans()?;
        Ok(Self {
            preexisting: tag::children(),
        })
    }

    /// Kills the orphans of members whose process has ended. Their own children are adopted and
    /// found at the next call, because each end of a child is an event.
    ///
    /// `own` lists the supervisor's own children, and `lives` returns whether the process with this
    /// serial number is alive.
    pub(super) fn kill_orphans_of_ended(
        &self,
        own: &[Pid],
        tag: &GroupTag,
        lives: impl Fn(u64) -> bool,
    ) {
        for pid in self.adopted(own) {
            if tag.serial_of(pid).is_some_and(|serial| !lives(serial)) {
                kill(pid);
            }
        }
    }

    /// Kills all orphans, also those without a tag. Returns whether there was any.
    pub(super) fn kill_all(&self, own: &[Pid]) -> bool {
        let adopted = self.adopted(own);
        adopted.iter().copied().for_each(kill);
        !adopted.is_empty()
    }

    fn adopted(&self, own: &[Pid]) -> Vec<Pid> {
        let mut children = tag::children();
        children.retain(|pid| !own.contains(pid) && !self.preexisting.contains(pid));
        children
    }
}

/// Makes orphans of this process's descendants its children, whatever their session is, as for the
/// first process of a container.
#[cfg(target_os = "linux")]
fn adopt_orphans() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

/// Other systems cannot do this.
#[cfg(not(target_os = "linux"))]
fn adopt_orphans() -> std::io::Result<()> {
    Ok(())
}

/// Kills a child. A child that is not collected keeps its number, so this cannot kill another
/// process.
fn kill(pid: Pid) {
    let _ = kill_process(pid, Signal::KILL);
}
