//! The hidden commands with which the launcher starts its processes. They are not part of the
//! public interface.

/// `PROGRAM __manifest`: prints which agents the program contains.
pub(crate) const MANIFEST: &str = "__manifest";

/// `PROGRAM __agent NAME PARENT`: runs one of its agents.
pub(crate) const AGENT: &str = "__agent";

/// `marun __exec NAME PARENT`: replaces itself by a program without agents.
pub(crate) const EXEC: &str = "__exec";

/// `marun __sentinel TAG`: ends the processes of a killed launcher.
pub(crate) const SENTINEL: &str = "__sentinel";

/// A hidden command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HiddenCommand {
    Manifest,
    Agent { name: String, parent: i32 },
    Exec { parent: i32 },
    Sentinel { tag: String },
}

impl HiddenCommand {
    /// Parses the arguments of the process, with the program's name first. Returns `None` for other
    /// commands.
    pub(crate) fn of(arguments: &[std::ffi::OsString]) -> Option<Self> {
        let texts: Option<Vec<&str>> = arguments.iter().skip(1).map(|text| text.to_str()).collect();
        match texts?.as_slice() {
            [MANIFEST] => Some(Self::Manifest),
            [SENTINEL, tag] => Some(Self::Sentinel {
                tag: (*tag).to_owned(),
            }),
            [EXEC, _, parent] => Some(Self::Exec {
                parent: parent.parse().ok()?,
            }),
            [AGENT, name, parent] => Some(Self::Agent {
                name: (*name).to_owned(),
                parent: parent.parse().ok()?,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<HiddenCommand> {
        let arguments: Vec<_> = line.split(' ').map(Into::into).collect();
        HiddenCommand::of(&arguments)
    }

    #[test]
    fn only_exact_forms_count() {
        assert_eq!(of("x __manifest"), Some(HiddenCommand::Manifest));
        let tag = "7-a".to_owned();
        assert_eq!(
            of("x __sentinel 7-a"),
            Some(HiddenCommand::Sentinel { tag })
        );
        assert_eq!(of("x __exec a 7"), Some(HiddenCommand::Exec { parent: 7 }));
        let name = "a".to_owned();
        assert_eq!(
            of("x __agent a 7"),
            Some(HiddenCommand::Agent { name, parent: 7 })
        );
        for line in [
            "x",
            "x run",
            "x __agent",
            "x __agent a b",
            "x __manifest y",
            "x __sentinel",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
