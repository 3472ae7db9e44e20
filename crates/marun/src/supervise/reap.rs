//! Collects the children that have ended. It decides nothing about those that live.

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process_group, wait, waitid,
};

use super::ending::Ending;

/// The children of this list that have ended, each with the rest of its process group killed.
pub(crate) fn reap(children: &[Pid]) -> Vec<(Pid, Ending)> {
    let ended = children
        .iter()
        .filter_map(|pid| Some((*pid, reap_one(*pid)?)));
    let mut ended: Vec<_> = ended.collect();
    if getpid().is_init() {
        reap_orphans(children, &mut ended);
    }
    ended
}

/// While the dead child still has its number, nobody else can: that is the moment to kill its group.
fn reap_one(pid: Pid) -> Option<Ending> {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let status = waitid(WaitId::Pid(pid), look).ok()??;
    kill_group(pid);
    let _ = waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
    );
    let signal = status.terminating_signal();
    Some(Ending::new(status.exit_status(), signal))
}

/// As the first process of a container, the launcher inherits the orphans of all others. A child of the list
/// that ended since it was looked at is among them.
fn reap_orphans(children: &[Pid], ended: &mut Vec<(Pid, Ending)>) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if children.contains(&pid) {
            kill_group(pid);
            let ending = Ending::new(status.exit_status(), status.terminating_signal());
            ended.push((pid, ending));
        }
    }
}

fn kill_group(leader: Pid) {
    // It fails where nobody is left, which is what is wanted.
    let _ = kill_process_group(leader, Signal::KILL);
}
