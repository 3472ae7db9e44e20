//! Collects the children that have ended, and ends those that a member has left behind. It decides nothing about the
//! members that live.

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, wait, waitid,
};

use super::exit_status::ExitStatus;
use crate::member::tag::{self, GroupTag};

/// The children of this list that have ended, each with the rest of its process group killed. Orphans that have ended
/// are buried with them.
pub(super) fn reap(children: &[Pid]) -> Vec<(Pid, ExitStatus)> {
    let ended = children
        .iter()
        .filter_map(|pid| Some((*pid, reap_one(*pid)?)));
    let mut ended: Vec<_> = ended.collect();
    reap_orphans(children, &mut ended);
    ended
}

/// While the dead child still has its number, nobody else can: that is the moment to kill its group.
fn reap_one(pid: Pid) -> Option<ExitStatus> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(pid), look).ok()??;
    kill_group(pid);
    let _ = waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    );
    let signal = status.terminating_signal();
    Some(ExitStatus::new(status.exit_status(), signal))
}

/// A child of the list that has ended since it was looked at is among them.
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
    // It fails where nobody is left, which is what is wanted.
    let _ = kill_process_group(leader, Signal::KILL);
}

/// The orphans that this process has adopted.
#[derive(Debug)]
pub(super) struct Orphans {
    /// Who were children of this process before it was a supervisor: a shell that became it may have had some.
    preexisting: Vec<Pid>,
}

impl Orphans {
    /// Must come before the first member.
    pub(super) fn adopt() -> std::io::Result<Self> {
        adopt_orphans()?;
        Ok(Self {
            preexisting: tag::children(),
        })
    }

    /// Kills those that come from a member which has no process any more. What they leave behind is adopted when they
    /// are dead, of which the system tells.
    ///
    /// `own` are the supervisor's own children, and `lives` says whether a member's process does.
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

    /// Kills all of them, those too that have forgotten where they come from; whether there was any.
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

/// From now on the orphans of this process's descendants become its children, whatever session they have made for
/// themselves, as those of a whole container do where it is the first process.
#[cfg(target_os = "linux")]
fn adopt_orphans() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(
        rustix::process::getpid(),
    ))?)
}

/// Elsewhere they are lost.
#[cfg(not(target_os = "linux"))]
fn adopt_orphans() -> std::io::Result<()> {
    Ok(())
}

/// A child that is not collected yet keeps its number, so this cannot meet a stranger.
fn kill(pid: Pid) {
    let _ = kill_process(pid, Signal::KILL);
}
